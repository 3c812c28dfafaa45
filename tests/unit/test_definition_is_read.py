"""What platforms hand to the runtime is read there: no field of a pipeline definition is only parsed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from pydantic import BaseModel

import mlops_runtime
from mlops_runtime import definition

RUNTIME = Path(mlops_runtime.__file__).parent
FIELDS = sorted(
    (model.__name__, name)
    for model in vars(definition).values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == definition.__name__
    for name in model.model_fields
    if not (name == "kind" and model.__name__.endswith("Endpoint"))  # tells endpoints apart while parsing
)


def attributes_read() -> set[str]:
    """Names of all attributes that the runtime reads outside the definition's own module."""
    found: set[str] = set()
    for path in RUNTIME.rglob("*.py"):
        if path == Path(definition.__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.add(node.attr)
    return found


READ = attributes_read()


@pytest.mark.parametrize(("model", "field"), FIELDS, ids=[f"{model}.{field}" for model, field in FIELDS])
def test_every_field_is_read_by_some_step(model: str, field: str) -> None:
    assert field in READ, f"{model}.{field} is parsed and never read"
