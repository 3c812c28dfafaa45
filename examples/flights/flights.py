"""Flights that left New York in 2013: what is known before a departure, and how it turned out.

All times are UTC. A prediction is asked an hour before the scheduled departure, so nothing later may be looked at:
neither `dep_delay` nor `arr_time` of the flight itself, nor weather observed or departures made after that moment.
"""

from __future__ import annotations

import pandas as pd

LATE_MINUTES = 15
LEAD = pd.Timedelta(hours=1)


def departures(table: pd.DataFrame) -> pd.DataFrame:
    """One row per scheduled flight: what is planned, when a prediction is asked, and whether it arrived late.

    Cancelled and diverted flights have no arrival delay; their label is missing.
    """
    scheduled = _scheduled(table)
    return pd.DataFrame(
        {
            "time_hour": table["time_hour"],
            "carrier": table["carrier"],
            "flight": table["flight"],
            "tailnum": table["tailnum"],
            "origin": table["origin"],
            "dest": table["dest"],
            "distance": table["distance"].astype("float64"),
            "departure_hour": _hours(table["sched_dep_time"]),
            "arrival_hour": _hours(table["sched_arr_time"]),
            "weekday": pd.to_datetime(table[["year", "month", "day"]]).dt.day_name(),
            "asked_at": scheduled - LEAD,
            "departed_at": scheduled + pd.to_timedelta(table["dep_delay"], unit="min"),
            "dep_delay": table["dep_delay"].astype("float64"),
            "late": (table["arr_delay"] > LATE_MINUTES).astype("Int64").where(table["arr_delay"].notna()),
        }
    )


def upcoming(table: pd.DataFrame) -> pd.DataFrame:
    """The plan of the first week of April, as an airline would have it scored the night before."""
    planned = departures(table).drop(columns=["departed_at", "dep_delay", "late"])
    return planned[planned["asked_at"].between("2013-04-01", "2013-04-08", inclusive="left")]


def weather(table: pd.DataFrame) -> pd.DataFrame:
    """Hourly weather at the three airports, as observed; an hour's observation is known when the hour has passed."""
    observed = table.assign(observed_at=pd.to_datetime(table["time_hour"], utc=True) + pd.Timedelta(hours=1))
    return observed[["origin", "observed_at", "temp", "wind_speed", "precip", "visib", "pressure"]].drop_duplicates(
        ["origin", "observed_at"], keep="last"
    )


def planes(table: pd.DataFrame) -> pd.DataFrame:
    """Age and size of each aircraft."""
    return pd.DataFrame(
        {
            "tailnum": table["tailnum"],
            "plane_age": 2013.0 - table["year"],
            "seats": table["seats"].astype("float64"),
            "manufacturer": table["manufacturer"],
        }
    )


def congestion(table: pd.DataFrame) -> pd.DataFrame:
    """Delays of the departures of the past hour at each airport, known at the end of that hour."""
    left = table.dropna(subset=["departed_at", "dep_delay"])
    hour_end = left["departed_at"].dt.floor("h") + pd.Timedelta(hours=1)
    grouped = left.assign(asked_at=hour_end).groupby(["origin", "asked_at"], as_index=False)["dep_delay"]
    return grouped.agg(recent_delay="mean", recent_departures="size").astype({"recent_departures": "float64"})


def _scheduled(table: pd.DataFrame) -> pd.Series:
    """Scheduled departure: `time_hour` is its hour in UTC."""
    return pd.to_datetime(table["time_hour"], utc=True) + pd.to_timedelta(table["minute"], unit="min")


def _hours(clock: pd.Series) -> pd.Series:
    """From a clock time written as hhmm to hours with fractions."""
    return (clock // 100 + clock % 100 / 60).astype("float64")
