"""The whole spec: all sections, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import (
    BaseModel,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from pulumi_mlops.spec import credentials, diagnose, environments, rules
from pulumi_mlops.spec.base import Name, Section
from pulumi_mlops.spec.code import Code
from pulumi_mlops.spec.data import Data
from pulumi_mlops.spec.delivery import Delivery
from pulumi_mlops.spec.endpoints import Endpoint
from pulumi_mlops.spec.errors import Problem, SpecError
from pulumi_mlops.spec.evaluation import Evaluation
from pulumi_mlops.spec.features import Features
from pulumi_mlops.spec.governance import Governance
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.monitors import Monitor
from pulumi_mlops.spec.platform import Platform
from pulumi_mlops.spec.registry import Registry
from pulumi_mlops.spec.retraining import Retraining
from pulumi_mlops.spec.training import Training

API_VERSION: Final = "mlops/v1"

_MERGED: Final = "environment already applied"
"""Validation context of a spec whose overlay was applied: overlays and credentials were looked at before."""


class Spec(Section):
    """A complete MLOps stack for one model.

    Built from YAML by `pulumi_mlops.load`, or in Python: `Spec(apiVersion="mlops/v1", identity=Identity(...), ...)`.

    Raises:
        SpecError: with all that is wrong, wherever a `Spec` is made.
    """

    apiVersion: Literal["mlops/v1"]  # noqa: N815 - the spelling that every declarative format uses
    """Version of this format: mlops/v1."""

    identity: Identity
    """Who owns the model, what it is for, and where it must not be used."""

    platform: Platform = Platform()
    """Where the stack runs."""

    code: Code = Code()
    """The user's own code."""

    data: Data
    """The tables that features and labels come from."""

    features: Features = Features()
    """Features: entities, views over sources, and their online store."""

    training: Training
    """How a model is made from the data."""

    evaluation: Evaluation = Evaluation()
    """What a model must achieve before it may serve."""

    registry: Registry = Registry()
    """How versions are kept, approved and exported."""

    endpoints: list[Endpoint] = Field(default_factory=list)
    """How predictions are given. Default: nowhere; versions are registered only."""

    monitors: list[Monitor] = Field(default_factory=list)
    """What is watched, and who is told. Default: nothing."""

    retraining: Retraining = Retraining()
    """When the pipeline runs again."""

    delivery: Delivery | None = None
    """Who may change the stack from CI. Default: people only."""

    governance: Governance = Governance()
    """Accountability, evidence and limits beyond the model itself."""

    environments: dict[Name, dict[Annotated[str, Field()], Any]] = Field(default_factory=dict)
    """Overlays by name (dev, staging, prod): what they name replaces the same in the spec, lists are replaced whole,
    and null takes a key out so that its default holds (RFC 7396). Default: none."""

    _directory: Path = PrivateAttr(default_factory=Path.cwd)
    _path: Path | None = PrivateAttr(default=None)
    _environment: str | None = PrivateAttr(default=None)

    @property
    def directory(self) -> Path:
        """Absolute folder that relative paths in the spec start from: the file's, or for a spec built in Python the
        working directory at that time (or the argument of `located`)."""
        return self._directory

    @property
    def path(self) -> Path | None:
        """Absolute path of the file, or None for a spec built in Python."""
        return self._path

    @property
    def environment(self) -> str | None:
        """The environment whose overlay was applied, or None."""
        return self._environment

    def resolve(self, path: Path) -> Path:
        """A path of the spec as an absolute one."""
        return Path(self._directory, path.expanduser())

    def located(self, directory: Path, path: Path | None = None) -> Self:
        """The same spec with its relative paths starting from another folder."""
        copy = self.model_copy()
        copy._directory, copy._path = Path(directory).absolute(), path.absolute() if path else None
        return copy

    def placed(self, platform: Platform) -> Self:
        """The same spec on a platform that was made elsewhere, which its sections were checked without."""
        return self.model_copy(update={"platform": platform})

    def in_environment(self, name: str) -> Self:
        """The spec with an environment's overlay applied.

        Raises:
            SpecError: there is no such environment, or the result is not valid.
        """
        data = plain(self)
        if name not in self.environments:
            raise SpecError([environments.unknown(name, data)])
        return self.merged(data, name).located(self._directory, self._path)

    @classmethod
    def merged(cls, data: Mapping[str, Any], name: str) -> Self:
        """The spec that plain data makes in an environment which it declares.

        Raises:
            SpecError: the result is not valid.
        """
        spec = cls.model_validate(environments.apply(data, name), context={_MERGED: True})
        spec._environment = name
        return spec

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        found: list[Problem] = []
        spec: Self | None = None
        try:
            spec = handler(data)
            sections = {name: getattr(spec, name) for name in cls.model_fields}
        except ValidationError as error:
            found += diagnose.problems(error, data, cls)
            sections = _readable(cls, data)
        found += rules.problems(sections)
        raw = plain(data)
        if not (info.context or {}).get(_MERGED):
            found += environments.problems(raw)
            found += credentials.problems(raw)
            for name in environments.overlays(raw):
                found += _only_in(cls, raw, name, found)
        if found or spec is None:
            raise SpecError(_without_repetition(found))
        return spec


def plain(data: Any) -> Any:
    """Sections as the mappings that they were made from, at any depth."""
    if isinstance(data, BaseModel):
        return {name: plain(getattr(data, name)) for name in type(data).model_fields if name in data.model_fields_set}
    if isinstance(data, Mapping):
        return {key: plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    return data


def _readable(model: type[BaseModel], data: Any) -> dict[str, Any]:
    """The sections that are right by themselves, for the rules between sections."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if not isinstance(data, Mapping) or (name not in data and field.is_required()):
            continue
        try:
            found[name] = (
                TypeAdapter[Any](cast(Any, field.annotation)).validate_python(data[name])
                if name in data
                else field.get_default(call_default_factory=True)
            )
        except ValidationError:
            continue
    return found


def _only_in(model: type[Spec], data: Mapping[str, Any], name: str, known: list[Problem]) -> list[Problem]:
    """What is wrong in one environment and not without it."""
    try:
        model.merged(data, name)
    except SpecError as error:
        return [replace(problem, environment=name) for problem in error.problems if problem not in known]
    return []


def _without_repetition(found: list[Problem]) -> list[Problem]:
    references = {problem.path for problem in found if problem.code == "MLOPS-S022"}
    return [problem for problem in found if problem.code != "MLOPS-S023" or problem.path not in references]
