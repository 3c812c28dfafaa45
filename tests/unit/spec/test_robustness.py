"""Whatever a file or a dict holds: a spec or a SpecError, never anything else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulumi_mlops.spec import Spec, SpecError, document
from pulumi_mlops.spec.errors import CODES
from tests.unit.spec.alternatives import FULL

DATA = yaml.safe_load(FULL.read_text())
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**300, max_value=10**320),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["1h", "2Gi", "env:X", "a:b", "0 3 * * *", "rest", "flights", "https://a:b@c", "²", "\u0661s", "1" * 400 + "h"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PROFILE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return found + [deeper for key, value in items for deeper in paths(value, (*path, key))]


def with_value(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    if isinstance(data, dict):
        return {key: with_value(inner, path[1:], value) if key == path[0] else inner for key, inner in data.items()}
    return [with_value(inner, path[1:], value) if i == path[0] else inner for i, inner in enumerate(data)]


def refusal(action: Callable[[], object]) -> SpecError | None:
    try:
        action()
    except SpecError as error:
        return error
    return None


def check(data: Any) -> None:
    error = refusal(lambda: Spec.model_validate(data))
    if error is not None:
        assert error.problems
        assert all(problem.code in CODES and problem.message for problem in error.problems)
        assert str(error)
        assert error.as_json()["problems"]


@PROFILE
@given(st.sampled_from(paths(DATA)), VALUES)
def test_any_value_in_any_place(path: tuple[Any, ...], value: Any) -> None:
    check(with_value(DATA, path, value))


@PROFILE
@given(st.dictionaries(st.sampled_from([*Spec.model_fields, "other"]), VALUES))
def test_any_sections(data: dict[str, Any]) -> None:
    check(data)


@PROFILE
@given(st.text(alphabet=st.sampled_from(list("ab:-[]{}&*!<|>?%@`'\"#, \n\t0~.=")), max_size=60))
def test_any_text(text: str) -> None:
    error = refusal(lambda: check(document.parse(text, "x").root.plain()))
    assert error is None or all(problem.file == "x" for problem in error.problems)


@PROFILE
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "mlops.yaml"
    file.write_bytes(raw)
    error = refusal(lambda: check(document.read(file, "x").root.plain()))
    assert error is None or all(problem.code in CODES for problem in error.problems)


@PROFILE
@given(
    st.integers(0, len(FULL.read_text()) - 1),
    st.integers(1, 80),
    st.sampled_from(["", " ", "\n", ":", "null", "[", "- "]),
)
def test_any_damage_to_a_file(start: int, length: int, new: str) -> None:
    text = FULL.read_text()
    damaged = text[:start] + new + text[start + length :]
    if refusal(lambda: document.parse(damaged, "x")) is not None:
        return
    file = document.parse(damaged, "x")
    error = refusal(lambda: Spec.model_validate(file.root.plain()))
    for problem in error.problems if error else ():
        _, mark = file.locate(problem.path, environment=problem.environment, on_key=problem.on_key)
        assert 1 <= mark.line <= damaged.count("\n") + 1
