"""Mergeable sketches of columns, and the distances between two of them.

A sketch has a bounded size however many rows it has seen, and two sketches of two parts of the data merge into the
sketch of the whole. Numbers are held in a KLL quantile sketch (Karnin, Lang and Liberty, "Optimal quantile
approximation in streams", FOCS 2016), strings and booleans in a frequent-items sketch (Anderson et al., "A
high-performance algorithm for identifying frequent items in data streams", IMC 2017), both from Apache DataSketches.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

import datasketches
import numpy as np
from numpy.typing import NDArray

NUMERIC = ("float32", "float64", "int64")
"""Column types that are sketched as numbers."""

CATEGORICAL = ("string", "bool")
"""Column types that are sketched as counts of values."""

K = 2000
"""KLL's size parameter: ranks are within 0.14 % with 99 % confidence (`normalized_rank_error`), in about 45 kB."""

LG_CATEGORIES = 12
"""Log2 of the frequent-items table: counts are exact up to 3072 different values, else within 0.09 % of the rows."""

BINS = 10
"""Bins of the population stability index: the deciles of the baseline (Siddiqi, "Credit Risk Scorecards", 2006)."""

EPSILON = 1e-4
"""Smallest share that a bin counts as having, so that an empty bin gives a large index and not an infinite one; half a
row, where that is more: that a small window has none of a rare value says little."""

MIN_SHARE = 0.01
"""Values rarer than this in the baseline share one bin: by themselves, small windows would make them look drifted."""

_CHUNK = 65_536


class Sketch:
    """A column's distribution: numbers or counts of values, and missing values counted apart.

    Missing are None, NaN and, among strings, the empty string (what a nullable string column of a bundle takes).

    Args:
        dtype: float32, float64, int64, string or bool. Numbers are kept as float64: integers beyond 2^53 are rounded.

    Raises:
        ValueError: the dtype is none of these.
    """

    def __init__(self, dtype: str) -> None:
        if dtype not in NUMERIC + CATEGORICAL:
            raise ValueError(f"dtype {dtype!r} can't be sketched; expected one of {', '.join(NUMERIC + CATEGORICAL)}")
        self.dtype = dtype
        self.missing = 0
        self._items: Any = (
            datasketches.kll_doubles_sketch(K) if self.numeric else datasketches.frequent_strings_sketch(LG_CATEGORIES)
        )

    @classmethod
    def of(cls, values: Any, dtype: str) -> Self:
        """The sketch of some values; see `update`."""
        sketch = cls(dtype)
        sketch.update(values)
        return sketch

    @property
    def numeric(self) -> bool:
        """Whether the column holds numbers."""
        return self.dtype in NUMERIC

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return int(self._items.n if self.numeric else self._items.total_weight)

    @property
    def rows(self) -> int:
        """Rows seen."""
        return self.present + self.missing

    @property
    def missing_share(self) -> float:
        """Share of the rows that have no value; 0 where there are no rows."""
        return self.missing / self.rows if self.rows else 0.0

    def update(self, values: Any) -> None:
        """Add values.

        Args:
            values: one-dimensional: a list, an array, or a Series or Array of pandas, polars or pyarrow.

        Raises:
            ValueError: a value is not of the column's type.
        """
        if self.numeric:
            self._update_numbers(values)
        else:
            self._update_counts(values)

    def _update_numbers(self, values: Any) -> None:
        numbers = as_numbers(values)
        for start in range(0, len(numbers), _CHUNK):
            # Sorted input spares the sketch most of its own sorting: measured 3.6 times as fast, sort included. NaN
            # sorts to the end. KLL's guarantee holds for any order of its input.
            chunk = np.sort(numbers[start : start + _CHUNK])
            present = len(chunk) - int(np.isnan(chunk).sum())
            self._items.update(chunk[:present])
            self.missing += len(chunk) - present

    def _update_counts(self, values: Any) -> None:
        for value, count in _counts(values).items():
            if is_missing(value):
                self.missing += count
            else:
                self._items.update(text_of(value), count)

    def merge(self, other: Sketch) -> None:
        """Add all that another sketch of the same column has seen.

        Raises:
            ValueError: one holds numbers and the other counts of values.
        """
        _check_comparable(self, other)
        self._items.merge(other._items)
        self.missing += other.missing

    def cumulative(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The distribution function of a numeric column, of the rows that have a value.

        Returns:
            Values in ascending order, and for each the share of rows with a value up to and including it.
        """
        if not self.present:
            return np.empty(0), np.empty(0)
        points = np.array(list(self._items), dtype=np.float64).reshape(-1, 2)
        points = points[np.argsort(points[:, 0], kind="stable")]
        return points[:, 0], np.cumsum(points[:, 1]) / self._items.n

    def quantiles(self, ranks: list[float]) -> list[float]:
        """Quantiles of a numeric column: for each rank, the smallest value whose share up to it reaches the rank.

        Args:
            ranks: each from 0 to 1.

        Returns:
            As many numbers; none where no row has a value.
        """
        return [float(value) for value in self._items.get_quantiles(ranks, True)] if self.present else []

    def counts(self) -> dict[str, int]:
        """How often each value of a categorical column occurs, the most frequent first; rare ones may be left out."""
        kind = datasketches.frequent_items_error_type.NO_FALSE_NEGATIVES
        found = ((item, int(lower)) for item, _, lower, _ in self._items.get_frequent_items(kind))
        return dict(sorted(found, key=lambda pair: (-pair[1], pair[0])))

    def describe(self) -> dict[str, Any]:
        """What a person wants to know: rows, share missing, and quantiles or the most frequent values' shares."""
        summary: dict[str, Any] = {"rows": self.rows, "missing": round(self.missing_share, 6)}
        if self.numeric:
            ranks = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]
            names = ("min", "p5", "p25", "p50", "p75", "p95", "max")
            # JSON has no infinity.
            found = (value if np.isfinite(value) else None for value in self.quantiles(ranks))
            return summary | {"quantiles": dict(zip(names, found, strict=False))}
        top = list(self.counts().items())[:10]
        return summary | {"values": {value: round(count / self.rows, 6) for value, count in top}}

    def to_json(self) -> dict[str, Any]:
        """The sketch as JSON values; `data` is DataSketches' own binary form in Base64."""
        data = base64.b64encode(self._items.serialize()).decode()
        return {"dtype": self.dtype, "rows": self.rows, "missing": self.missing, "data": data}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The sketch that `to_json` wrote.

        Raises:
            ValueError: the document is not a sketch.
        """
        try:
            sketch = cls(document["dtype"])
            sketch.missing = int(document["missing"])
            sketch._items = type(sketch._items).deserialize(base64.b64decode(document["data"]))
            rows = int(document["rows"])
        except (KeyError, TypeError, RuntimeError, IndexError) as error:
            raise ValueError(f"not a sketch: {error!r}") from None
        if rows != sketch.rows:
            raise ValueError(f"not a sketch: it says {rows} rows and holds {sketch.rows}")
        return sketch


def psi(baseline: Sketch, current: Sketch) -> float:
    """Population stability index: the sum over bins of (c - b) ln(c / b), with b and c the shares of the bin.

    Siddiqi, "Credit Risk Scorecards" (2006), who reads less than 0.1 as no shift, 0.1 to 0.25 as a slight one and more
    than 0.25 as a major one. Bins are the deciles of the baseline's numbers, where a value that holds a whole decile or
    more has a bin of its own, or the values with at least 1 % of the baseline's rows, the others together; missing
    values are one more bin. With no shift at all its expected value is about (bins - 1) (1 / rows of the baseline +
    1 / rows now), so 200 rows give 0.05.

    Raises:
        ValueError: a sketch is empty, or one holds numbers and the other counts of values.
    """
    before, now = (
        np.maximum(share, max(EPSILON, 0.5 / sketch.rows))
        for share, sketch in zip(shares(baseline, current), (baseline, current), strict=True)
    )
    return float(np.sum((now - before) * np.log(now / before)))


def ks(baseline: Sketch, current: Sketch) -> float:
    """Kolmogorov-Smirnov distance: the largest difference between the two distribution functions, 0 to 1.

    Missing values count as smaller than every number, so a change in their share is a distance too. Values without an
    order (strings, booleans) have the total variation distance instead, the largest difference between the
    probabilities that the two give to any set of values, over the bins of `psi`.

    Raises:
        ValueError: a sketch is empty, or one holds numbers and the other counts of values.
    """
    if not baseline.numeric:
        before, now = shares(baseline, current)
        return float(np.abs(now - before).sum() / 2)
    _check_comparable(baseline, current)
    _check_rows(baseline, current)
    points = np.unique(np.concatenate([baseline.cumulative()[0], current.cumulative()[0]]))
    difference = _up_to(current, points) - _up_to(baseline, points)
    return float(max(np.abs(difference).max(initial=0.0), abs(current.missing_share - baseline.missing_share)))


STATISTICS = {"psi": psi, "ks": ks}
"""The distances by the names that the spec gives them."""


def shares(baseline: Sketch, current: Sketch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of the rows in each bin of the baseline (see `psi`), missing values last; both sum to 1.

    Raises:
        ValueError: a sketch is empty, or one holds numbers and the other counts of values.
    """
    _check_comparable(baseline, current)
    _check_rows(baseline, current)
    if baseline.numeric:
        edges = _edges(baseline)
        return _numeric_shares(baseline, edges), _numeric_shares(current, edges)
    common = [value for value, count in baseline.counts().items() if count >= MIN_SHARE * baseline.rows]
    return _category_shares(baseline, common), _category_shares(current, common)


def as_numbers(values: Any) -> NDArray[np.float64]:
    """Values as float64, missing ones as NaN.

    Raises:
        ValueError: a value is not a number.
    """
    try:
        if getattr(values, "null_count", None) == 0 and hasattr(values, "__dlpack__"):
            # Copies nothing; pyarrow's own conversion would import pandas, which takes 40 MB.
            values = np.from_dlpack(values)
        # pandas' NA can't be converted by numpy; the nulls of polars and pyarrow become NaN by themselves.
        if hasattr(values, "to_numpy") and not hasattr(values, "null_count"):
            values = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.asarray(values, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a numeric column holds something else: {error}") from None


def _edges(baseline: Sketch) -> NDArray[np.float64]:
    """Upper edges of all bins but the last; bins are open below and closed above."""
    deciles = np.array(baseline.quantiles([rank / BINS for rank in range(BINS + 1)]))
    values, repeats = np.unique(deciles, return_counts=True)
    # Without an edge just below it, a value that fills a bin would hide what comes between it and the edge before.
    atoms = values[repeats > 1]
    return np.unique(np.concatenate([values[1:-1], atoms, np.nextafter(atoms, -np.inf)]))


def _up_to(sketch: Sketch, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the rows that are missing or at most each of the points."""
    values, cumulative = sketch.cumulative()
    steps = np.concatenate([[0.0], cumulative])
    share: NDArray[np.float64] = steps[np.searchsorted(values, points, side="right")]
    return sketch.missing_share + (1 - sketch.missing_share) * share


def _numeric_shares(sketch: Sketch, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    bounds = np.concatenate([[sketch.missing_share], _up_to(sketch, edges), [1.0]])
    return np.append(np.diff(bounds), sketch.missing_share)


def _category_shares(sketch: Sketch, common: list[str]) -> NDArray[np.float64]:
    counts = sketch.counts()
    found = [counts.get(value, 0) for value in common]
    return np.array([*found, sketch.present - sum(found), sketch.missing]) / sketch.rows


def _counts(values: Any) -> dict[Any, int]:
    if hasattr(values, "to_arrow"):
        values = values.to_arrow()
    if hasattr(values, "dictionary_encode"):
        table = values.value_counts()
        return dict(zip(table.field("values").to_pylist(), table.field("counts").to_pylist(), strict=True))
    listed: Iterable[Any] = values.tolist() if hasattr(values, "tolist") else values
    return Counter(listed)


def is_missing(value: Any) -> bool:
    """Whether a value counts as missing: None, NaN, pandas' NA and the empty string."""
    if isinstance(value, float):
        return value != value
    # pandas.NA refuses to be compared; it is known by its type's name, so that pandas need not be imported.
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, str) and not value)


def text_of(value: Any) -> str:
    """A value as the name of a category; booleans as in JSON."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_comparable(first: Sketch, second: Sketch) -> None:
    if first.numeric != second.numeric:
        raise ValueError(f"a sketch of {first.dtype} and one of {second.dtype} have no distance")


def _check_rows(*sketches: Sketch) -> None:
    if not all(sketch.rows for sketch in sketches):
        raise ValueError("an empty sketch has no distribution")
