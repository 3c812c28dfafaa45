"""Judging: rules over resources and stacks, with levels, exemptions and evidence."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_policies.findings import Finding, Level, Outcome
from mlops_policies.registry import Rule
from mlops_policies.resources import Resource, Stack, matches
from mlops_policies.settings import Exemption, Settings
from mlops_policies.values import HIDDEN, NotApplicable, Undecided, shown

GOVERNING = ("mlops:index:MLStack", "mlops:index:Governance")
"""Components that publish the governance section."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one rule ended for one resource, or for the stack.

    Arguments:
        rule: the rule.
        outcome: how it ended.
        level: what it does; an undecided result is advisory until the value is known.
        message: what is wrong, or why it does not apply; empty where it passed.
        resource: the resource; None for the stack as a whole.
        path: the property to change, or that is not known.
        field: field of the spec to change, where the rule names it.
        exemption: the exemption that covers it.
        evidence: what was read to decide it, as (resource's name, property, value); only where asked for.
    """

    rule: Rule
    outcome: Outcome
    level: Level
    message: str = ""
    resource: Resource | None = None
    path: str = ""
    field: str = ""
    exemption: Exemption | None = None
    evidence: tuple[tuple[str, str, Any], ...] = ()

    @property
    def active(self) -> bool:
        """Whether something is wrong and not exempted."""
        return self.outcome in (Outcome.FAILED, Outcome.ERROR) and self.exemption is None

    @property
    def blocks(self) -> bool:
        """Whether it fails the check."""
        return self.active and self.level in (Level.MANDATORY, Level.REMEDIATE)

    @property
    def about(self) -> str:
        """Name of the resource; empty for the stack as a whole."""
        return self.resource.name if self.resource else ""


@dataclass
class Judgement:
    """All results.

    Arguments:
        results: the results; those that passed only where evidence was asked for.
        settings: how it was judged, exemptions included.
        rules: the rules that ran.
        resources: how many resources were judged.
        notes: what could not be seen, a sentence each.
    """

    results: list[Result]
    settings: Settings
    rules: list[Rule]
    resources: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[Result]:
        """What is wrong and not exempted, worst first."""
        found = [result for result in self.results if result.active]
        return sorted(found, key=lambda r: (not r.blocks, -r.rule.severity.rank, r.rule.id, r.about, r.path))

    @property
    def undecided(self) -> list[Result]:
        """What is decided during `up`, and not exempted."""
        return [r for r in self.results if r.outcome is Outcome.UNDECIDED and r.exemption is None]

    @property
    def exempted(self) -> list[Result]:
        """What is wrong, or can't be judged, and is accepted."""
        return [result for result in self.results if result.exemption is not None]

    @property
    def passed(self) -> bool:
        """Whether nothing mandatory is wrong."""
        return not any(result.blocks for result in self.results)


class Judge:
    """Applies rules, one resource at a time or a whole stack at once.

    Arguments:
        rules: the rules; those that the settings disable do not run.
        settings: levels, parameters, exemptions.
        evidence: whether results that passed are kept, and each result with what was read.
    """

    def __init__(self, rules: Iterable[Rule], settings: Settings, *, evidence: bool = False) -> None:
        self.rules = list(rules)
        self.settings = settings
        self._trace: list[tuple[str, str, Any]] | None = [] if evidence else None

    @property
    def settings(self) -> Settings:
        """How it judges; a stack's governance section, once it is seen, changes it."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._settings = settings
        levels = {rule: settings.level(rule) for rule in self.rules}
        self.levels = {rule: level for rule, level in levels.items() if level is not Level.DISABLED}
        self._parameters = {rule: () if rule.parameters is None else (settings.of(rule),) for rule in self.levels}
        self._by_type: dict[str, list[tuple[Rule, Level]]] = {}

    def govern(self, resource: Resource) -> None:
        """Heed what a component says about governance; other resources say nothing.

        Raises:
            SettingsError: what it says is not usable.
        """
        if resource.type not in GOVERNING:
            return
        facts = resource.props
        section = facts.get("governance") if resource.kind == "MLStack" else facts
        named = {name: facts[name] for name in ("owner", "environment") if isinstance(facts.get(name), str)}
        self.settings = self.settings.governed(section if isinstance(section, Mapping) else None, **named)

    def resource(self, resource: Resource) -> Iterator[Result]:
        """Judge one resource by the rules that need no other."""
        for rule, level in self._for_type(resource.type):
            if not rule.graph:
                yield from self._run(rule, level, resource)

    def stack(self, stack: Stack) -> Iterator[Result]:
        """Judge a stack by the rules that need all of it."""
        for rule, level in self.levels.items():
            if not rule.on and not rule.last:
                yield from self._run(rule, level, stack)
        for resource in stack.resources:
            for rule, found in self._for_type(resource.type):
                if rule.graph:
                    yield from self._run(rule, found, resource, stack)

    def last(self, stack: Stack, results: Sequence[Result]) -> Iterator[Result]:
        """Judge the judgement: exemptions, and what could not be judged."""
        judged = Judged(stack, results, self.settings, tuple(self.levels))
        for rule, level in self.levels.items():
            if rule.last:
                yield from self._run(rule, level, judged)

    def judgement(self, stack: Stack) -> Judgement:
        """Judge a whole stack.

        Raises:
            SettingsError: its governance section is not usable.
        """
        for resource in stack.resources:
            resource.trace = self._trace
            self.govern(resource)
        results = [result for resource in stack.resources for result in self.resource(resource)]
        results += self.stack(stack)
        results += self.last(stack, results)
        return Judgement(results, self.settings, list(self.levels), len(stack.resources))

    def _for_type(self, token: str) -> list[tuple[Rule, Level]]:
        found = self._by_type.get(token)
        if found is None:
            found = self._by_type[token] = [
                (rule, level) for rule, level in self.levels.items() if any(matches(token, on) for on in rule.on)
            ]
        return found

    def _run(self, rule: Rule, level: Level, subject: Any, *others: Any) -> Iterator[Result]:
        if self._trace is not None:
            self._trace.clear()
        resource = subject if isinstance(subject, Resource) else None
        failed = False
        try:
            for finding in rule.check(subject, *others, *self._parameters[rule]):
                failed = True
                yield self._failed(rule, level, finding, subject)
        except Undecided as undecided:
            failed = True
            about = resource or subject.by_urn.get(undecided.urn)
            exemption = self._exemption(rule, about)
            where = (str(undecided), about, undecided.path)
            yield Result(rule, Outcome.UNDECIDED, Level.ADVISORY, *where, exemption=exemption)
        except NotApplicable as because:
            if not failed:
                evidence = _evidence(rule, self._trace or ())
                yield Result(rule, Outcome.NOT_APPLICABLE, level, str(because), resource, evidence=evidence)
            failed = True
        except Exception as error:
            failed = True
            exemption = self._exemption(rule, resource)
            yield Result(rule, Outcome.ERROR, level, _broken(rule, error), resource, exemption=exemption)
        if self._trace and not failed:
            yield Result(rule, Outcome.PASSED, level, resource=resource, evidence=_evidence(rule, self._trace))

    def _failed(self, rule: Rule, level: Level, finding: Finding, subject: Any) -> Result:
        about = subject if isinstance(subject, Resource) else subject.by_urn.get(finding.urn)
        where = (finding.message, about, finding.path, finding.field, self._exemption(rule, about))
        return Result(rule, Outcome.FAILED, level, *where, _evidence(rule, self._trace or ()))

    def _exemption(self, rule: Rule, resource: Resource | None) -> Exemption | None:
        name = resource.name if resource else "stack"
        for exemption in () if rule.last else self._settings.exemptions:
            if exemption.covers(rule.id, name) and not exemption.fault(self._settings.owner, self._settings.today):
                return exemption
        return None


@dataclass(frozen=True)
class Judged:
    """What rules about the judgement look at.

    Arguments:
        stack: the stack.
        results: the results of all other rules.
        settings: how it was judged.
        rules: the rules that ran.
    """

    stack: Stack
    results: Sequence[Result]
    settings: Settings
    rules: Sequence[Rule]

    @property
    def by_urn(self) -> Mapping[str, Resource]:
        """The stack's resources by URN."""
        return self.stack.by_urn

    def finding(self, message: str, *, field: str = "") -> Finding:
        """Something wrong with the judgement; see `Stack.finding`."""
        return self.stack.finding(message, field=field)


def remedied(rule: Rule, resource: Resource, settings: Settings) -> Mapping[str, Any] | None:
    """A resource's inputs as a rule's remedy makes them; None where there is nothing to mend or no safe way.

    Raises:
        Undecided: a value that the remedy needs is not known yet.
    """
    if rule.remedy is None:
        return None
    parameters = settings.of(rule)
    remedy: Callable[..., Mapping[str, Any] | None] = rule.remedy
    return remedy(resource) if parameters is None else remedy(resource, parameters)


def _evidence(rule: Rule, trace: Iterable[tuple[str, str, Any]]) -> tuple[tuple[str, str, Any], ...]:
    read = {(name, path): value for name, path, value in trace}
    return tuple(
        (name, path, shown(value, path) if rule.quotes or value is None else HIDDEN)
        for (name, path), value in read.items()
    )


def _broken(rule: Rule, error: Exception) -> str:
    # The error's own text may quote a value, and a value may be secret.
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"the rule {rule.id} broke ({type(error).__name__}{where}), so nothing is known about what it judges"
