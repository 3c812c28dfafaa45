"""No body, whatever it is, gets a 5xx or an answer that is not JSON."""

import asyncio
import json

import httpx
import pytest
import serving_kit as kit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_runtime.serving.app import App
from mlops_runtime.serving.config import ServingConfig

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["UA", "1", "true", "FP32", "dep_hour", "label"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)
NAMES = st.sampled_from([name for name, _ in kit.COLUMNS]) | st.text(max_size=5) | JSON
DATATYPES = st.sampled_from(["FP32", "FP64", "INT64", "BYTES", "BOOL", "INT8"]) | JSON
SHAPES = st.lists(st.integers(-1, 5), max_size=3) | JSON
TENSORS = st.fixed_dictionaries(
    {"name": NAMES, "datatype": DATATYPES, "shape": SHAPES, "data": st.lists(SCALARS, max_size=5) | JSON},
    optional={"parameters": st.fixed_dictionaries({}, optional={"columns": st.lists(NAMES, max_size=5) | JSON}) | JSON},
)
REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS | JSON, max_size=5) | JSON},
    optional={"id": JSON, "outputs": st.lists(st.fixed_dictionaries({"name": NAMES}) | JSON, max_size=3) | JSON},
)
# Requests that are right but for one value: those get through the first checks.
NEARLY = st.builds(
    lambda column, values: kit.named(**{column: values}),
    st.sampled_from([name for name, _ in kit.COLUMNS]),
    st.lists(JSON, max_size=2),
) | st.builds(lambda rows: kit.table(rows), st.lists(st.lists(SCALARS, min_size=4, max_size=4), max_size=3))


@pytest.fixture(scope="module")
def post(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("store")
    kit.write_bundle(data_dir)
    kit.deploy(data_dir, 1)
    path = data_dir / "config.json"
    path.write_text(json.dumps(kit.config(data_dir)))
    app = App(ServingConfig.load(path))
    with asyncio.Runner() as runner:
        runner.run(app.versions.refresh())
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")
        yield lambda body: runner.run(client.post("/v2/models/delay/infer", content=body))
        runner.run(client.aclose())


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=JSON | REQUESTS | NEARLY)
def test_any_json_is_answered_or_refused(post, body):
    answer = post(json.dumps(body).encode())

    assert answer.status_code in (200, 400, 413), answer.text
    assert "error" in answer.json() or answer.json()["model_version"] == "1"


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_answered_or_refused(post, body):
    assert post(body).status_code == 400


def test_a_usual_request_is_answered(post):
    assert post(json.dumps(kit.named()).encode()).status_code == 200
