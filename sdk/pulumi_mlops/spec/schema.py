"""The spec's JSON Schema, for editors: it completes, explains and checks as one types."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from pulumi_mlops.spec.base import Section
from pulumi_mlops.spec.model import Spec

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ID: Final = "urn:mlops:spec:v1"
_UNITS: Final = (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))

_Schema = dict[str, Any]


def schema() -> _Schema:
    """The JSON Schema (draft 2020-12) of a spec.

    It knows every field with its meaning, default, type, range and form. What depends on several fields together, only
    `mlops validate` knows.
    """
    body = Spec.model_json_schema()
    sections = {section.__name__: section for section in _sections(Section)}
    for name, part in {**body["$defs"], "Spec": body}.items():
        described = _descriptions(sections[name]) if _is_section(part) else {}
        for field, info in sections[name].model_fields.items() if _is_section(part) else ():
            if field in described:
                part["properties"][field]["description"] = described[field]
            if info.default_factory is not None:
                part["properties"][field]["default"] = info.get_default(call_default_factory=True)
    for part in _parts(body):
        _tidy(part)
    body["properties"]["environments"]["additionalProperties"] = {"$ref": "#/$defs/Overlay"}
    body["$defs"] |= _overlays(body)
    body["$defs"] = dict(sorted(body["$defs"].items()))
    description = "A complete MLOps stack for one model. Checked in full by `mlops validate`."
    return {"$schema": DIALECT, "$id": ID, "title": "mlops.yaml", **body, "description": description}


def text() -> str:
    """The JSON Schema as the committed file holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _sections(base: type[Section]) -> Iterator[type[Section]]:
    for section in base.__subclasses__():
        yield section
        yield from _sections(section)


def _descriptions(section: type[Section]) -> dict[str, str]:
    """The docstrings below a section's fields.

    Pydantic would read them too (`use_attribute_docstrings`), but whenever the spec is imported: a third of that time.
    """
    found: dict[str, str] = {}
    for kind in reversed(section.__mro__):
        if not issubclass(kind, Section):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in pairwise(body.body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                found[field.target.id] = inspect.cleandoc(ast.literal_eval(text.value))
    return found


def _parts(part: Any) -> Iterator[_Schema]:
    """Every schema within a schema, itself included."""
    if not isinstance(part, dict):
        return
    yield part
    for word in ("properties", "$defs", "patternProperties"):
        for inner in part.get(word, {}).values():
            yield from _parts(inner)
    for word in ("items", "additionalProperties", "propertyNames"):
        yield from _parts(part.get(word))
    for inner in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        yield from _parts(inner)


def _tidy(part: _Schema) -> None:
    part.pop("title", None)
    part.pop("discriminator", None)  # OpenAPI's, unknown to JSON Schema
    if "description" in part:
        part["description"] = " ".join(part["description"].split())
    if isinstance(part.get("default"), dict):
        part["default"] = {}  # a section left out has the defaults of its fields
    if isinstance(part.get("default"), int) and _is_size(part):
        part["default"] = _human(part["default"])
    patterns = part.pop("patternProperties", None)
    if patterns is not None:
        # One form of key: said so that a key of another form is refused, and not let pass.
        ((pattern, value),) = patterns.items()
        names = part.get("propertyNames", {})
        part |= {"propertyNames": {**names, "pattern": pattern}, "additionalProperties": value}


def _is_section(part: _Schema) -> bool:
    return "properties" in part


def _is_size(part: _Schema) -> bool:
    return "512Mi" in part.get("examples", ())


def _human(size: int) -> str | int:
    return next((f"{size // factor}{unit}" for unit, factor in _UNITS if size % factor == 0), size)


def _overlays(body: _Schema) -> dict[str, _Schema]:
    """Schemas of merge patches: the same sections, with nothing required, and null to take a key out (RFC 7396)."""
    made: dict[str, _Schema] = {}

    def section(source: _Schema) -> _Schema:
        properties = {name: value(inner) for name, inner in source["properties"].items()}
        kept = {k: v for k, v in source.items() if k not in ("required", "properties", "$defs")}
        return {**kept, "properties": properties}

    def value(source: _Schema) -> _Schema:
        described = {"description": source["description"]} if "description" in source else {}
        return {**described, "anyOf": [patch(source), {"type": "null"}]}

    def patch(source: _Schema) -> _Schema:
        if "$ref" in source:
            name = source["$ref"].removeprefix("#/$defs/")
            if _is_section(body["$defs"][name]):
                overlay = f"{name}Overlay"
                if overlay not in made:
                    made[overlay] = {}
                    made[overlay] = section(body["$defs"][name])
                return {"$ref": f"#/$defs/{overlay}"}
        plain = {k: v for k, v in source.items() if k not in ("default", "description")}
        if "anyOf" in plain:
            plain["anyOf"] = [patch(inner) for inner in plain["anyOf"]]
        if source.get("type") == "object" and isinstance(source.get("additionalProperties"), dict):
            plain["additionalProperties"] = value(source["additionalProperties"])
        return plain

    top = {k: v for k, v in body["properties"].items() if k not in ("apiVersion", "environments")}
    made["Overlay"] = section({**body, "properties": top})
    made["Overlay"]["description"] = "What is different in one environment: a merge patch of the spec (RFC 7396)."
    return made
