"""442 people with diabetes, and how far the disease went on within a year (Efron et al. 2004; in scikit-learn)."""

from __future__ import annotations

import pandas as pd
from sklearn.datasets import load_diabetes


def examined() -> pd.DataFrame:
    """One row per person: age, body mass index, blood pressure, blood serum, and the progression after a year."""
    table = load_diabetes(as_frame=True, scaled=False).frame
    serum = {"s1": "cholesterol", "s2": "ldl", "s3": "hdl", "s5": "log_triglycerides", "s6": "glucose"}
    return table.rename(columns={**serum, "bp": "blood_pressure", "target": "progression"}).assign(
        sex=table["sex"].map({1.0: "a", 2.0: "b"}), patient=range(len(table))
    )
