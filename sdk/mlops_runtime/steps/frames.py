"""The border between tables on disk and estimators: what a model sees, in training and whenever it is asked.

Numbers with a fraction are 32-bit at this border, so that an exported ONNX graph, which takes 32-bit inputs, and the
estimator split rows at exactly the same thresholds. Missing numbers are NaN; a missing string is the empty string.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from mlops_runtime.errors import BadDataError, BadInputError
from mlops_runtime.steps.featurize import LABEL

if TYPE_CHECKING:
    import pandas as pd

INPUT_DTYPES = {"float64": "float32", "float32": "float32", "int64": "int64", "bool": "bool", "string": "string"}
"""Type of a column in a feature table, and its type as a model input (`manifest.json`)."""


class Named(Protocol):
    """A column with a name and one of the types of `INPUT_DTYPES`."""

    @property
    def name(self) -> str:
        """Name of the column."""

    @property
    def dtype(self) -> str:
        """Type of the column."""


def model_inputs(table: pd.DataFrame, columns: Sequence[Named]) -> pd.DataFrame:
    """The columns that a model takes, in its order and types.

    Arguments:
        table: rows with at least those columns.
        columns: the model's inputs.

    Raises:
        BadInputError: a column is missing or can't be read as its type.
    """
    import pandas as pd

    taken: dict[str, Any] = {}
    for column in columns:
        if column.name not in table.columns:
            raise BadInputError(f"the table has no column {column.name!r}, which the model takes as {column.dtype}")
        values = table[column.name]
        dtype = INPUT_DTYPES[column.dtype]
        try:
            if dtype == "string":
                taken[column.name] = values.astype(object).where(values.notna(), "").astype(str).astype(object)
            else:
                taken[column.name] = values.astype(np.dtype(dtype))
        except (TypeError, ValueError) as error:
            raise BadInputError(f"column {column.name!r} can't be read as {dtype}: {error}") from None
    return pd.DataFrame(taken, index=table.index)


def read_table(path: Path) -> pd.DataFrame:
    """Read a Parquet table as pandas."""
    import pandas as pd

    return pd.read_parquet(path, engine="pyarrow")


def labels(table: pd.DataFrame, task: Literal["binary", "multiclass", "regression"], column: str) -> npt.NDArray[Any]:
    """The label of each row: numbers for a regression, else classes as integers or strings.

    Arguments:
        table: rows with `__label`.
        task: what is predicted.
        column: the label's name in the source, for messages.

    Raises:
        BadDataError: labels are missing, not numbers in a regression, or numbers with a fraction as classes.
    """
    import pandas as pd

    values = table[LABEL]
    if missing := int(values.isna().sum()):
        raise BadDataError(f"label {column}: {missing:,} of {len(values):,} rows have none; drop them in a transform")
    if task == "regression":
        if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            raise BadDataError(f"label {column}: a regression needs numbers, and it is {values.dtype}")
        return values.to_numpy(dtype=np.float64)
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_integer_dtype(values):
        return values.to_numpy(dtype=np.int64)
    if pd.api.types.is_float_dtype(values):
        whole = values.to_numpy(dtype=np.int64)
        if not np.array_equal(whole, values.to_numpy()):
            raise BadDataError(f"label {column}: classes must be whole numbers or strings; for numbers use regression")
        return whole
    return values.astype(str).to_numpy(dtype=object)


def positive_class(classes: npt.NDArray[Any], wanted: str | int | bool | None, column: str) -> Any:
    """The class whose probability is the score of a binary model: the one named, else the larger.

    Raises:
        BadInputError: the named class does not occur.
    """
    if wanted is None:
        return classes[-1]
    name = class_name(wanted)
    for value in classes:
        if class_name(value) == name:
            return value
    known = " and ".join(class_name(value) for value in classes)
    raise BadInputError(f"training.positive_class is {wanted!r}, but the classes of {column} are {known}")


def class_name(value: Any) -> str:
    """A class as text; truth values are 0 and 1, as models return them."""
    return str(int(value)) if isinstance(value, bool | np.bool_) else str(value)
