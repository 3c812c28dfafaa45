"""The rules: functions with metadata, in packs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, cached_property
from importlib import import_module
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from mlops_policies.findings import Finding, Severity

PACKS: Final[Mapping[str, str]] = {
    "security": "Encryption, isolation, identities and secrets of ML resources",
    "ml-governance": "Ownership, approval, monitoring, data and evidence of models in production",
    "kubernetes": "Workloads, namespaces and KServe on Kubernetes",
    "cost": "Tags, budgets, bounds and idle resources",
}
"""The packs and what they are about; the rules of each are in the package `mlops_policies.packs` under its name."""


class Parameters(BaseModel):
    """Parameters of a rule, with their defaults; subclasses document each."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Scope(StrEnum):
    """What a rule looks at."""

    RESOURCE = "resource"
    COMPONENT = "component"
    STACK = "stack"


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule and what people need to know of it.

    Arguments:
        id: its name, kebab-case.
        pack: the pack it belongs to.
        severity: how much harm is to be expected where it is broken.
        check: yields findings for a resource (`check(resource)`), for a resource among the others
            (`check(resource, stack)` where `graph`), or for a stack (`check(stack)` where `on` is empty); parameters
            come last.
        on: types of the resources that it judges, as tokens or patterns; empty for a rule over the whole stack.
        graph: whether it needs the other resources, and so runs when all are registered.
        remediation: how to mend what it finds.
        references: clauses that it serves, by framework (`mlops_policies.frameworks`).
        reason: why the rule exists, where no outside source asks for it.
        parameters: the model of its parameters, or None.
        remedy: gives the inputs that mend a resource, for the level `remediate`; None where there is no safe way.
        last: whether it judges the judgement itself, and runs when all others have.
        quotes: whether evidence may quote what it reads; a rule that looks for secrets says no.
    """

    id: str
    pack: str
    severity: Severity
    check: Callable[..., Iterator[Finding]]
    on: tuple[str, ...]
    graph: bool
    remediation: str
    references: Mapping[str, Sequence[str]]
    reason: str = ""
    parameters: type[Parameters] | None = None
    remedy: Callable[..., Mapping[str, Any] | None] | None = field(default=None)
    last: bool = False
    quotes: bool = True

    @property
    def scope(self) -> Scope:
        """What it looks at."""
        if self.graph or not self.on:
            return Scope.STACK
        return Scope.COMPONENT if all(token.startswith("mlops:") for token in self.on) else Scope.RESOURCE

    @cached_property
    def title(self) -> str:
        """What holds where the rule is met, in a sentence."""
        return (inspect.getdoc(self.check) or "").partition("\n")[0]

    @cached_property
    def description(self) -> str:
        """Why it matters and what exactly is judged."""
        return (inspect.getdoc(self.check) or "").partition("\n")[2].strip()

    def as_json(self) -> dict[str, Any]:
        """What people need to know of it, as JSON values."""
        return {
            "id": self.id,
            "pack": self.pack,
            "title": self.title,
            "description": self.description,
            "severity": str(self.severity),
            "scope": str(self.scope),
            "types": list(self.on),
            "remediation": self.remediation,
            "remediates": self.remedy is not None,
            "references": {name: list(clauses) for name, clauses in self.references.items()},
            "reason": self.reason,
            "parameters": self.parameters.model_json_schema() if self.parameters else None,
        }

    def __repr__(self) -> str:
        return f"Rule({self.id})"


_RULES: Final[dict[str, Rule]] = {}


def pack(name: str) -> Callable[..., Callable[[Callable[..., Iterator[Finding]]], Rule]]:
    """The decorator that adds rules to a pack: `rule = pack("security")`.

    Arguments:
        name: key of `PACKS`.
    """
    if name not in PACKS:
        raise ValueError(f"there is no pack {name}; there are {', '.join(PACKS)}")

    def rule(
        *on: str,
        severity: str,
        remediation: str,
        graph: bool = False,
        references: Mapping[str, Sequence[str]] | None = None,
        reason: str = "",
        parameters: type[Parameters] | None = None,
        remedy: Callable[..., Mapping[str, Any] | None] | None = None,
        last: bool = False,
        quotes: bool = True,
    ) -> Callable[[Callable[..., Iterator[Finding]]], Rule]:
        """Register a function as a rule; its id is its name, its docstring is title and description. See `Rule`."""

        def register(check: Callable[..., Iterator[Finding]]) -> Rule:
            made = Rule(
                id=check.__name__.strip("_").replace("_", "-"),
                pack=name,
                severity=Severity(severity),
                check=check,
                on=on,
                graph=graph,
                remediation=remediation,
                references=references or {},
                reason=reason,
                parameters=parameters,
                remedy=remedy,
                last=last,
                quotes=quotes,
            )
            if made.id in _RULES:
                raise ValueError(f"there are two rules called {made.id}")
            _RULES[made.id] = made
            return made

        return register

    return rule


@cache
def rules() -> Mapping[str, Rule]:
    """All rules by id, in the order of packs and modules."""
    for name in PACKS:
        import_module(f"mlops_policies.packs.{name.replace('-', '_')}")
    order = list(PACKS)
    return dict(sorted(_RULES.items(), key=lambda item: order.index(item[1].pack)))
