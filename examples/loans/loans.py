"""The user's code: applications as the bank keeps them become rows to learn from."""

from __future__ import annotations

import pandas as pd


def applications(table: pd.DataFrame) -> pd.DataFrame:
    """A row per application that was granted a year ago or more, with what was known when it was asked.

    Arguments:
        table: as the bank exports it: one row per application, money in euros, `arrears_days` within the first year.
    """
    known = table[table["granted"] & table["arrears_days"].notna()]
    return pd.DataFrame(
        {
            "application": known["application"],
            "asked_at": pd.to_datetime(known["asked_at"], utc=True),
            "income": known["income"].astype(float),
            "amount": known["amount"].astype(float),
            "months": known["months"].astype(float),
            "debt_ratio": (known["monthly_debt"] / known["income"].clip(lower=1.0)).astype(float),
            "employed_years": known["employed_years"].astype(float),
            "home": known["home"].astype(str),
            "age_group": pd.cut(known["age"], [0, 25, 40, 60, 200], labels=["18-25", "26-40", "41-60", "61+"]).astype(
                str
            ),
            # Basel II, 452: a borrower is in default after 90 days.
            "arrears": (known["arrears_days"] >= 90).astype(int),
        }
    )
