"""178 wines of one region of Italy, from three cultivars (UCI Machine Learning Repository, 1991; in scikit-learn)."""

from __future__ import annotations

import pandas as pd
from sklearn.datasets import load_wine

CULTIVARS = {0: "barolo", 1: "grignolino", 2: "barbera"}


def bottles() -> pd.DataFrame:
    """One row per wine: thirteen measurements, and the cultivar it was made from."""
    table = load_wine(as_frame=True).frame
    return (
        table.rename(columns={"od280/od315_of_diluted_wines": "od280_od315"})
        .assign(cultivar=table["target"].map(CULTIVARS), bottle=range(len(table)))
        .drop(columns="target")
    )
