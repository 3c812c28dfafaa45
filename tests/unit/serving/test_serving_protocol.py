import json

import numpy as np
import pytest

from mlops_runtime.serving.bundle import Column, Manifest, Output, View
from mlops_runtime.serving.protocol import Decoder, RequestError, encode


def manifest(inputs, views=()):
    return Manifest(
        model="m",
        version=1,
        runtime="onnxruntime",
        file="model.onnx",
        digest="sha256:0",
        task="binary",
        inputs=tuple(Column(*item) for item in inputs),
        outputs=(Output("label", "int64", (-1,)), Output("probabilities", "float32", (-1, 2))),
        classes=("0", "1"),
        positive_class="1",
        threshold=None,
        fallback_reason=None,
        views=views,
        sample={},
        sample_outputs={},
    )


MIXED = [
    ("hour", "float32", True),
    ("ratio", "float64"),
    ("stops", "int64"),
    ("late", "bool"),
    ("carrier", "string", True),
]
FLOATS = [("a", "float32"), ("b", "float32")]


def decoder(inputs=MIXED, *, views=(), enrich=False, max_rows=10):
    return Decoder(manifest(inputs, views), max_rows=max_rows, enrich=enrich)


def tensor(name, datatype, data, shape=None, **more):
    return {"name": name, "datatype": datatype, "shape": [len(data)] if shape is None else shape, "data": data, **more}


GOOD = {
    "hour": tensor("hour", "FP32", [1.5, 2]),
    "ratio": tensor("ratio", "FP64", [0.1, 0.2]),
    "stops": tensor("stops", "INT64", [1, 2]),
    "late": tensor("late", "BOOL", [True, False]),
    "carrier": tensor("carrier", "BYTES", ["UA", "AA"]),
}


def named(**changes):
    tensors = {**GOOD, **changes}
    return {"inputs": [item for item in tensors.values() if item is not None]}


def decode(body, **settings):
    return decoder(**settings).decode(body if isinstance(body, bytes) else json.dumps(body).encode())


def refusal(body, **settings):
    with pytest.raises(RequestError) as caught:
        decode(body, **settings)
    return caught.value.status, caught.value.message


def test_named_columns_become_arrays_of_the_models_dtypes():
    request = decode({"id": "r-1", **named()})

    assert (request.id, request.rows, request.outputs) == ("r-1", 2, None)
    expected = {
        "hour": np.array([[1.5], [2]], np.float32),
        "ratio": np.array([[0.1], [0.2]], np.float64),
        "stops": np.array([[1], [2]], np.int64),
        "late": np.array([[True], [False]]),
        "carrier": np.array([["UA"], ["AA"]], object),
    }
    assert request.columns.keys() == expected.keys()
    for name, array in expected.items():
        assert request.columns[name].dtype == array.dtype
        assert request.columns[name].tolist() == array.tolist()


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("hour", tensor("hour", "INT64", [3, 4]), [[3.0], [4.0]]),
        ("hour", tensor("hour", "FP64", [[3.5], [4]], shape=[2, 1]), [[3.5], [4.0]]),
        ("stops", tensor("stops", "INT32", [3, -4]), [[3], [-4]]),
        ("stops", tensor("stops", "INT64", [2**63 - 1, -(2**63)]), [[2**63 - 1], [-(2**63)]]),
        ("carrier", tensor("carrier", "BYTES", [None, "é"]), [[""], ["é"]]),
    ],
)
def test_what_fits_a_column_is_taken(name, given, expected):
    assert decode(named(**{name: given})).columns[name].tolist() == expected


def test_null_in_a_nullable_float_column_is_nan():
    column = decode(named(hour=tensor("hour", "FP32", [None, 2]))).columns["hour"]

    assert np.isnan(column[0, 0])
    assert column[1, 0] == 2


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("ratio", tensor("ratio", "FP64", [0.1, None]), "column 'ratio', row 1: null, but the column is not nullable"),
        ("stops", tensor("stops", "INT64", [1, 1.5]), "column 'stops', row 1: expected an integer of 64 bits, got 1.5"),
        ("stops", tensor("stops", "INT64", [2**63, 1]), "column 'stops', row 0: expected an integer of 64 bits"),
        ("stops", tensor("stops", "FP32", [1, 2]), "column 'stops': expected datatype INT64, got \"FP32\""),
        ("stops", tensor("stops", None, [1, 2]), "column 'stops': expected datatype INT64, got null"),
        ("stops", tensor("stops", "INT64", [True, 2]), "column 'stops', row 0: expected an integer of 64 bits"),
        ("hour", tensor("hour", "FP32", ["1", 2]), "column 'hour', row 0: expected a number within float32, got \"1\""),
        ("hour", tensor("hour", "FP32", [1e39, 2]), "column 'hour', row 0: expected a number within float32"),
        ("hour", tensor("hour", "FP32", [None, 1e39]), "column 'hour', row 1: expected a number within float32"),
        ("hour", tensor("hour", "FP32", [True, 2]), "column 'hour', row 0: expected a number within float32, got true"),
        ("hour", tensor("hour", "INT64", [1, 2.5]), "column 'hour', row 1: expected an integer, got 2.5"),
        ("late", tensor("late", "BOOL", [1, False]), "column 'late', row 0: expected true or false, got 1"),
        ("carrier", tensor("carrier", "BYTES", ["UA", 7]), "column 'carrier', row 1: expected a string, got 7"),
        ("carrier", tensor("carrier", "BYTES", [["UA"], [{}]], shape=[2]), "column 'carrier', row 1: expected a str"),
        ("hour", tensor("hour", "FP32", [1, 2], shape=[3]), "'hour': shape says 3 values, data has 2"),
        ("hour", tensor("hour", "FP32", [1, 2], shape=[1, 2]), "column 'hour': expected shape [rows] or [rows, 1]"),
        ("hour", tensor("hour", "FP32", [[1], [2, 3]], shape=[2, 1]), "'hour': data is ragged"),
        ("hour", tensor("hour", "FP32", [1, 2], shape="2"), "'hour': shape must be a list of sizes"),
        ("hour", tensor("hour", "FP32", [1, 2], shape=[-1]), "'hour': shape must be a list of sizes"),
        ("hour", {"name": "hour", "datatype": "FP32", "shape": [2]}, "'hour': data must be a list"),
        ("hour", tensor("hour", "FP32", [1, 2, 3]), "column 'ratio' has 2 rows, column 'hour' has 3"),
        ("hour", None, "missing column 'hour'"),
        ("ours", tensor("ours", "FP32", [1, 2]), "unknown column 'ours'; the model's columns are hour, ratio, stops"),
        ("again", GOOD["hour"], "column 'hour' is given twice"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_row(name, given, message):
    status, text = refusal(named(**{name: given}))

    assert status == 400
    assert message in text


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty body"),
        (b"{", "malformed JSON"),
        (b"[]", "expected a JSON object"),
        (b"NaN", "malformed JSON"),
        (b'{"inputs": [1e999]}', "malformed JSON"),
        (b"\xff", "malformed JSON"),
        ({}, '"inputs": expected a non-empty list'),
        ({"inputs": []}, '"inputs": expected a non-empty list'),
        ({"inputs": [1]}, '"inputs": expected tensors'),
        ({"inputs": [{}]}, 'a tensor has no "name"'),
        ({"inputs": [{"name": "t", "parameters": {"columns": 3}, "shape": [1], "data": [1]}]}, "parameters.columns"),
        ({**named(), "id": 7}, '"id": expected'),
        ({**named(), "id": "a\nb"}, '"id": expected'),
        ({**named(), "id": ""}, '"id": expected'),
        ({**named(), "outputs": [{"name": "score"}]}, 'unknown output "score"; the model\'s outputs are label, proba'),
        ({**named(), "outputs": "label"}, '"outputs": expected a list'),
        ({**named(), "outputs": [7]}, "unknown output null"),
    ],
)
def test_a_body_that_is_no_request_is_refused(body, message):
    status, text = refusal(body)

    assert status == 400
    assert message in text


def test_rows_are_bounded():
    assert refusal(named(hour=tensor("hour", "FP32", [])))[1] == "'hour' has no rows"
    status, text = refusal(named(hour=tensor("hour", "FP32", [1.0] * 11)))
    assert status == 413
    assert text == "too many rows: 11, this endpoint takes up to 10 a request"


def test_requested_outputs_are_kept_in_order_and_once():
    asked = [{"name": "probabilities"}, {"name": "label"}, {"name": "probabilities"}]

    assert decode({**named(), "outputs": asked}).outputs == ["probabilities", "label"]


def table(columns, rows, datatype="BYTES", **changes):
    body = tensor("df", datatype, rows, [len(rows), len(columns)], parameters={"columns": columns})
    return {"inputs": [{**body, **changes}]}


def test_a_table_converts_each_column_to_its_dtype():
    columns = ["carrier", "stops", "late", "hour", "ratio"]
    rows = [["UA", 1, True, 2.5, 3], [None, "2", "false", "", "4e-1"], ["AA", 3.0, 0, None, 5]]
    rows[1][3] = None

    request = decode(table(columns, rows))

    got = {name: request.columns[name][:, 0].tolist() for name in columns}
    assert got["carrier"] == ["UA", "", "AA"]
    assert got["stops"] == [1, 2, 3]
    assert got["late"] == [True, False, False]
    assert got["ratio"] == [3.0, 0.4, 5.0]
    assert got["hour"][0] == 2.5
    assert np.isnan(got["hour"][1:]).all()


@pytest.mark.parametrize("datatype", ["FP32", "FP64", "INT64", "BYTES"])
@pytest.mark.parametrize("columns", [["a", "b"], ["b", "a"]])
@pytest.mark.parametrize("flat", [True, False])
def test_a_table_of_numbers_keeps_rows_and_columns_apart(datatype, columns, flat):
    rows = [[1, 2], [3, 4], [5, 6]]
    body = table(columns, rows, datatype)
    if flat:
        body["inputs"][0]["data"] = [1, 2, 3, 4, 5, 6]

    request = decode(body, inputs=FLOATS)

    assert request.columns[columns[0]].tolist() == [[1.0], [3.0], [5.0]]
    assert request.columns[columns[1]].tolist() == [[2.0], [4.0], [6.0]]
    assert all(array.flags["C_CONTIGUOUS"] for array in request.columns.values())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (table(["a", "b"], [[1, None]], "FP32"), "column 'b', row 0: null"),
        (table(["a", "b"], [[1, 2], [3, "x"]]), "column 'b', row 1: cannot read \"x\" as float32"),
        (table(["a", "b"], [[1, 2], [3, "nan"]]), "column 'b', row 1: cannot read \"nan\" as float32"),
        (table(["a", "b"], [[1, 2], [3, "1_0"]]), "column 'b', row 1: cannot read \"1_0\" as float32"),
        (table(["a", "b"], [[1, 2], [3, 1e39]], "FP64"), "column 'b', row 1: expected a number within float32"),
        (table(["a", "b"], [[1, 2], [3]], "FP64"), "'df': data is ragged; shape says 2 rows of 2"),
        (table(["a", "b"], [[1, 2]], "FP64", shape=[2, 2]), "'df': data is ragged"),
        (table(["a", "b"], [[1, 2]], "FP64", data=[1, 2, 3]), "'df': shape says 2 values, data has 3"),
        (table(["a", "b"], [[1, 2]], "FP64", shape=[1, 3]), "expected shape [rows, 2] for its columns, got [1, 3]"),
        (table(["a", "b"], [[1, 2]], "DECIMAL"), 'unknown datatype "DECIMAL"'),
        (table(["a", "a"], [[1, 2]]), "column 'a' is given twice"),
        (table(["a", "c"], [[1, 2]]), "unknown column 'c'; the model's columns are a, b"),
        (table(["a"], [[1]]), "missing column 'b'"),
        (table(["a", 1], [[1, 2]]), "parameters.columns must be a list of column names"),
        (table(["a", "b"], [], "FP64"), "'df' has no rows"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(body, message):
    status, text = refusal(body, inputs=FLOATS)

    assert status == 400
    assert message in text


def test_columns_may_be_left_out_where_their_join_keys_are_given():
    views = (View("planes", {"a": "a", "seats": "seats"}, ("tailnum",)),)
    body = {"inputs": [tensor("b", "FP32", [1, 2]), tensor("tailnum", "BYTES", ["N1", "N2"])]}

    request = decode(body, inputs=FLOATS, views=views, enrich=True)

    assert request.columns["tailnum"][:, 0].tolist() == ["N1", "N2"]
    assert "a" not in request.columns
    status, text = refusal({"inputs": body["inputs"][:1]}, inputs=FLOATS, views=views, enrich=True)
    assert (status, text) == (400, "missing column 'a' (or the join key 'tailnum' to look them up)")
    assert "unknown column 'tailnum'" in refusal(body, inputs=FLOATS, views=views, enrich=False)[1]
    body["inputs"][1]["data"] = ["N1", 1.5]
    assert (
        "join key 'tailnum', row 1: expected a string or an integer"
        in (refusal(body, inputs=FLOATS, views=views, enrich=True)[1])
    )


def test_an_answer_is_json_even_with_nan():
    outputs = [Output("label", "string", (-1,)), Output("probabilities", "float32", (-1, 2))]
    arrays = [np.array(["a", "b"], object), np.array([[0.25, np.nan], [np.inf, 1]], np.float32)]

    answer = json.loads(encode("m", "3", "r", outputs, arrays))

    assert answer == {
        "model_name": "m",
        "model_version": "3",
        "id": "r",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]},
            {"name": "probabilities", "datatype": "FP32", "shape": [2, 2], "data": [0.25, None, None, 1.0]},
        ],
    }
