"""Open Inference Protocol V2, REST: request bodies to columns, and output arrays to answers.

Two forms of request are read. *Named columns*: one tensor per column, shape [rows] or [rows, 1]. *Table*: one tensor
of shape [rows, columns] whose `parameters.columns` names the columns, as a DataFrame would. Nothing is converted
silently with loss: an integer widens to a float column, a float never narrows to an integer one, and whatever does
not fit is refused by the column's name and row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from mlops_runtime.serving.bundle import DATATYPES, Column, Manifest, Output
from mlops_runtime.serving.columns import Array, ColumnError, read_column, read_float_table

# Datatypes that a named tensor may declare for a column of ours: the same kind, at any width.
_INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
_FLOATS = ("FP16", "FP32", "FP64")
_ACCEPTED = {
    "float32": (*_FLOATS, *_INTEGERS),
    "float64": (*_FLOATS, *_INTEGERS),
    "int64": _INTEGERS,
    "string": ("BYTES",),
    "bool": ("BOOL",),
}
_TABLE_DATATYPES = ("BYTES", "BOOL", *_FLOATS, *_INTEGERS)
_MAX_ID = 128


class RequestError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: HTTP status code.
        message: what is wrong, where, and what was expected; goes to the client.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class InferRequest(NamedTuple):
    """A decoded request.

    Attributes:
        id: the client's request id, or None.
        columns: arrays of shape [rows, 1] by column name.
        rows: number of rows.
        outputs: names of the outputs asked for; None asks for all.
    """

    id: str | None
    columns: dict[str, Array]
    rows: int
    outputs: list[str] | None


class Decoder:
    """Decodes request bodies for one model.

    Args:
        manifest: the model's inputs and outputs.
        max_rows: more rows are refused with 413.
        enrich: whether columns that the online store can give may be left out, if their join keys are there.
    """

    def __init__(self, manifest: Manifest, *, max_rows: int, enrich: bool) -> None:
        self._max_rows = max_rows
        self._specs = {column.name: column for column in manifest.inputs}
        self._outputs = {output.name for output in manifest.outputs}
        self._order = [column.name for column in manifest.inputs]
        # One dtype in every column: a table of numbers is then one array, cut into columns without copies.
        dtypes = {column.dtype for column in manifest.inputs}
        self._float = dtypes.pop() if len(dtypes) == 1 and dtypes <= {"float32", "float64"} else None
        self._optional: dict[str, tuple[str, ...]] = {}
        self._keys: set[str] = set()
        if enrich:
            for view in manifest.views:
                self._keys.update(view.join_keys)
                self._optional.update(dict.fromkeys(view.features.values(), view.join_keys))
            self._keys -= set(self._specs)

    def decode(self, body: bytes) -> InferRequest:
        """Decode one request body.

        Raises:
            RequestError: 400 with the offending column, or 413 for too many rows.
        """
        try:
            payload = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise RequestError(400, f"malformed JSON: {error}" if body else "empty body: expected JSON") from None
        if type(payload) is not dict:
            raise RequestError(400, 'expected a JSON object with "inputs"')
        tensors = payload.get("inputs")
        if type(tensors) is not list or not tensors:
            raise RequestError(400, '"inputs": expected a non-empty list of tensors')
        try:
            first = tensors[0]
            names = _column_names(first) if len(tensors) == 1 else None
            if names is not None:
                columns, rows = self._table(first, names)
            else:
                columns, rows = self._named(tensors)
        except ColumnError as error:
            raise RequestError(400, str(error)) from None
        if len(columns) != len(self._order) or self._keys:
            self._complete(columns)
        return InferRequest(_request_id(payload.get("id")), columns, rows, self._requested(payload.get("outputs")))

    def _named(self, tensors: list[Any]) -> tuple[dict[str, Array], int]:
        columns: dict[str, Array] = {}
        rows = -1
        for tensor in tensors:
            name, datatype, shape, data = _tensor(tensor)
            spec = self._spec(name)
            if name in columns:
                raise ColumnError(f"column {name!r} is given twice")
            count = self._rows(name, shape) if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1) else -1
            if count < 0:
                raise ColumnError(f"column {name!r}: expected shape [rows] or [rows, 1], got {shape}")
            if rows >= 0 and count != rows:
                raise ColumnError(f"column {name!r} has {count} rows, column {next(iter(columns))!r} has {rows}")
            rows = count
            if spec is None:
                columns[name] = _key_column(name, _flat(name, data, count, 1))
                continue
            if datatype not in _ACCEPTED[spec.dtype]:
                raise ColumnError(f"column {name!r}: expected datatype {DATATYPES[spec.dtype]}, got {_shown(datatype)}")
            whole = spec.dtype != "int64" and datatype in _INTEGERS
            columns[name] = read_column(spec, _flat(name, data, count, 1), whole=whole)
        return columns, rows

    def _table(self, tensor: dict[str, Any], names: Any) -> tuple[dict[str, Array], int]:
        title, datatype, shape, data = _tensor(tensor)
        known = names == self._order
        if not known and (type(names) is not list or not names or any(type(name) is not str for name in names)):
            raise ColumnError(f"tensor {title!r}: parameters.columns must be a list of column names")
        if len(shape) != 2 or shape[1] != len(names):
            raise ColumnError(f"tensor {title!r}: expected shape [rows, {len(names)}] for its columns, got {shape}")
        if datatype not in _TABLE_DATATYPES:
            raise ColumnError(f"tensor {title!r}: unknown datatype {_shown(datatype)}")
        rows, width = self._rows(title, shape), len(names)
        flat = _flat(title, data, rows, width)
        if known and self._float is not None and datatype not in ("BYTES", "BOOL"):
            table = read_float_table(flat, rows, width, self._float)
            if table is not None:
                return dict(zip(names, table, strict=True)), rows
        columns: dict[str, Array] = {}
        for position, name in enumerate(names):
            spec = self._spec(name)
            if name in columns:
                raise ColumnError(f"column {name!r} is given twice")
            values = flat[position::width]
            columns[name] = (
                _key_column(name, values)
                if spec is None
                else read_column(spec, values, text=datatype == "BYTES", mixed=True)
            )
        return columns, rows

    def _spec(self, name: str) -> Column | None:
        spec = self._specs.get(name)
        if spec is None and name not in self._keys:
            raise ColumnError(
                f"unknown column {name!r}; the model's columns are {', '.join([*self._order, *sorted(self._keys)])}"
            )
        return spec

    def _rows(self, name: str, shape: list[int]) -> int:
        rows = shape[0]
        if rows == 0:
            raise ColumnError(f"{name!r} has no rows")
        if rows > self._max_rows:
            raise RequestError(413, f"too many rows: {rows}, this endpoint takes up to {self._max_rows} a request")
        return rows

    def _complete(self, columns: dict[str, Array]) -> None:
        missing = [
            name
            for name in self._order
            if name not in columns
            and not (name in self._optional and all(key in columns for key in self._optional[name]))
        ]
        if missing:
            keys = sorted({key for name in missing for key in self._optional.get(name, ()) if key not in columns})
            hint = f" (or the join key {', '.join(map(repr, keys))} to look them up)" if keys else ""
            plural = "s" if len(missing) > 1 else ""
            raise RequestError(400, f"missing column{plural} {', '.join(map(repr, missing))}{hint}")

    def _requested(self, asked: Any) -> list[str] | None:
        if not asked:
            if asked is None or asked == []:
                return None
            raise RequestError(400, '"outputs": expected a list of {"name": …}')
        if type(asked) is not list:
            raise RequestError(400, '"outputs": expected a list of {"name": …}')
        names: list[str] = []
        for item in asked:
            name = item.get("name") if type(item) is dict else None
            if type(name) is not str or name not in self._outputs:
                raise RequestError(
                    400, f"unknown output {_shown(name)}; the model's outputs are {', '.join(sorted(self._outputs))}"
                )
            names.append(name)
        return list(dict.fromkeys(names))


def encode(model: str, version: str, request_id: str, outputs: Sequence[Output], arrays: Sequence[Array]) -> bytes:
    """The answer's body; NaN and infinities become null, since JSON has none."""
    return orjson.dumps(
        {
            "model_name": model,
            "model_version": version,
            "id": request_id,
            "outputs": [
                {
                    "name": output.name,
                    "datatype": DATATYPES[output.dtype],
                    "shape": array.shape,
                    "data": array.ravel().tolist() if array.dtype == object else array.ravel(),
                }
                for output, array in zip(outputs, arrays, strict=True)
            ],
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def request_id_problem(value: str) -> bool:
    """Whether an id must not be echoed: it goes into a header, so it is short and printable ASCII."""
    return not (0 < len(value) <= _MAX_ID and value.isascii() and value.isprintable())


def _request_id(value: Any) -> str | None:
    if value is None:
        return None
    if type(value) is not str or request_id_problem(value):
        raise RequestError(400, f'"id": expected 1 to {_MAX_ID} printable ASCII characters')
    return value


def _column_names(tensor: Any) -> Any:
    parameters = tensor.get("parameters") if type(tensor) is dict else None
    return parameters.get("columns") if type(parameters) is dict else None


def _tensor(tensor: Any) -> tuple[str, Any, list[int], list[Any]]:
    if type(tensor) is not dict:
        raise ColumnError('"inputs": expected tensors, {"name", "datatype", "shape", "data"}')
    name = tensor.get("name")
    if type(name) is not str:
        raise ColumnError('"inputs": a tensor has no "name"')
    shape, data = tensor.get("shape"), tensor.get("data")
    if type(shape) is not list or set(map(type, shape)) != {int} or min(shape) < 0:
        raise ColumnError(f"{name!r}: shape must be a list of sizes, got {_shown(shape)}")
    if type(data) is not list:
        raise ColumnError(f"{name!r}: data must be a list")
    return name, tensor.get("datatype"), shape, data


def _flat(name: str, data: list[Any], rows: int, width: int) -> list[Any]:
    """Row-major values, from flat data or from one list per row."""
    if data and type(data[0]) is list:
        if len(data) != rows or any(type(row) is not list or len(row) != width for row in data):
            raise ColumnError(f"{name!r}: data is ragged; shape says {rows} rows of {width}")
        return [value for row in data for value in row]
    if len(data) != rows * width:
        raise ColumnError(f"{name!r}: shape says {rows * width} values, data has {len(data)}")
    return data


def _key_column(name: str, values: list[Any]) -> Array:
    for row, value in enumerate(values):
        if type(value) not in (str, int):
            raise ColumnError(f"join key {name!r}, row {row}: expected a string or an integer, got {_shown(value)}")
    column = np.empty((len(values), 1), dtype=object)
    column[:, 0] = values
    return column


def _shown(value: Any) -> str:
    """A value as JSON, short enough for a message."""
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
