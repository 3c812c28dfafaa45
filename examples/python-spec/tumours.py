"""569 tumours of the breast, benign or malignant (Wolberg, Street & Mangasarian 1993; in scikit-learn)."""

from __future__ import annotations

import pandas as pd
from sklearn.datasets import load_breast_cancer


def examined() -> pd.DataFrame:
    """One row per tumour: measurements of its cells' nuclei, and the finding."""
    table = load_breast_cancer(as_frame=True).frame
    return (
        table.rename(columns=lambda name: name.replace(" ", "_"))
        .assign(finding=table["target"].map({0: "malignant", 1: "benign"}), tumour=range(len(table)))
        .drop(columns="target")
    )
