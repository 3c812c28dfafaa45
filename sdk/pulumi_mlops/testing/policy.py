"""Test kit for policies: build resources, judge them by one rule or by packs, and assert what is found.

```python
from pulumi_mlops.testing import policy

key = policy.resource("aws:kms/key:Key", "key")
volume = policy.resource("aws:sagemaker/endpointConfiguration:EndpointConfiguration", "live", kmsKeyArn=policy.UNKNOWN)
policy.assert_passes("encrypt-endpoint-volume", volume)
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlops_policies import UNKNOWN, Judge, Judgement, Outcome, Resource, Secret, Settings, Stack, rules, selected
from mlops_policies.sources.normal import normalised
from mlops_policies.sources.wire import decoded
from pulumi_mlops.testing.graph import Graph, capture, preview_outputs

__all__ = [
    "UNKNOWN",
    "Case",
    "Secret",
    "assert_finds",
    "assert_not_applicable",
    "assert_passes",
    "assert_undecided",
    "component",
    "found",
    "judge",
    "resource",
    "stack_of",
]


def resource(
    type: str,
    name: str = "it",
    /,
    *,
    parent: Resource | None = None,
    refers: Mapping[str, Resource] | None = None,
    provider: Mapping[str, Any] | None = None,
    **props: Any,
) -> Resource:
    """A resource as the engine would be asked for it.

    Arguments:
        type: type token, as in `aws:s3/bucket:Bucket`.
        name: name in the program.
        parent: what it is a child of.
        refers: for a property, the resource that its value comes from; the value is `UNKNOWN` unless `props` gives it.
        provider: inputs of its provider.
        props: inputs in camelCase; `UNKNOWN` and `Secret(...)` at any depth.
    """
    refers = refers or {}
    return normalised(
        Resource(
            type,
            name,
            {**dict.fromkeys(refers, UNKNOWN), **props},
            parent=parent.urn if parent else "",
            dependencies=frozenset(target.urn for target in refers.values()),
            property_dependencies={path: [target.urn] for path, target in refers.items()},
            provider=provider,
        )
    )


def component(kind: str, name: str = "it", /, *, parent: Resource | None = None, **facts: Any) -> Resource:
    """A component of `pulumi_mlops` with the facts that it publishes.

    Arguments:
        kind: as in `Endpoint`.
        name: name in the program.
        parent: what it is a child of.
        facts: its facts in camelCase.
    """
    return resource(f"mlops:index:{kind}", name, parent=parent, **facts)


def judge(
    subject: Resource | Stack | Iterable[Resource] | Callable[[], Any],
    *names: str,
    packs: Sequence[str] = (),
    settings: Settings | None = None,
    complete: bool = False,
) -> Judgement:
    """Judge resources, a stack, or what a Pulumi program declares.

    Arguments:
        subject: the resources, or a function that declares them.
        names: ids of the rules to judge by. Default: those of `packs`.
        packs: the packs to judge by. Default: all.
        settings: levels, parameters, exemptions. Default: the defaults.
        complete: whether all values are known that will be, as over a state.

    Raises:
        KeyError: there is no such rule.
        SettingsError: there is no such pack.
    """
    stack = _stack(subject, complete)
    chosen = [rules()[name] for name in names] if names else selected(packs)
    return Judge(chosen, settings or Settings(), evidence=True).judgement(stack)


def found(judgement: Judgement) -> set[tuple[str, str]]:
    """What is wrong and not exempted, as pairs of rule and resource's name (empty for the stack as a whole)."""
    return {(result.rule.id, result.about) for result in judgement.findings}


def assert_passes(rule: str, *resources: Resource, settings: Settings | None = None, complete: bool = False) -> None:
    """A rule applies to some resource, and finds nothing wrong with any."""
    judgement = judge(resources, rule, settings=settings, complete=complete)
    assert not judgement.findings, f"{rule} finds: {[result.message for result in judgement.findings]}"
    assert not judgement.undecided, f"{rule} is undecided: {[result.message for result in judgement.undecided]}"
    assert judgement.results, f"{rule} looked at nothing"
    reasons = [result.message for result in judgement.results if result.outcome is Outcome.NOT_APPLICABLE]
    assert len(reasons) < len(judgement.results), f"{rule} does not apply: {reasons}"


def assert_not_applicable(
    rule: str, *resources: Resource, settings: Settings | None = None, complete: bool = False
) -> None:
    """A rule looks at some resource, and what it is about is not the case for any."""
    judgement = judge(resources, rule, settings=settings, complete=complete)
    assert judgement.results, f"{rule} looked at nothing"
    others = {result.outcome: result.message for result in judgement.results}
    assert set(others) == {Outcome.NOT_APPLICABLE}, f"{rule} applies: {others}"


def assert_finds(
    rule: str, *resources: Resource, about: str | None = None, settings: Settings | None = None, complete: bool = False
) -> None:
    """A rule finds something wrong.

    Arguments:
        rule: its id.
        resources: the stack.
        about: name of the resource that must be at fault; an empty text for the stack as a whole. Default: any.
        settings: levels, parameters, exemptions.
        complete: see `judge`.
    """
    judgement = judge(resources, rule, settings=settings, complete=complete)
    errors = [result.message for result in judgement.results if result.outcome is Outcome.ERROR]
    assert not errors, f"{rule} broke: {errors}"
    assert judgement.findings, f"{rule} finds nothing"
    names = {result.about for result in judgement.findings}
    assert about is None or about in names, f"{rule} finds {names}, not {about!r}"


def assert_undecided(rule: str, *resources: Resource, settings: Settings | None = None) -> None:
    """A rule needs a value that is not known yet, and says so."""
    judgement = judge(resources, rule, settings=settings)
    assert judgement.undecided, f"{rule} decides: {[result.message for result in judgement.results]}"


@dataclass(frozen=True)
class Case:
    """Stacks that show what a rule does: each a resource or a list of resources.

    Arguments:
        passing: nothing is wrong, and the rule applies to something.
        failing: something is wrong.
        undecided: a value that the rule needs is not known yet.
        set_unknown: a value is set and not known yet, which is enough for the rule.
        not_applicable: what the rule is about is not the case.
        settings: how it is judged.
        complete: whether all values are known that will be.
    """

    passing: Sequence[Resource | Sequence[Resource]]
    failing: Sequence[Resource | Sequence[Resource]]
    undecided: Sequence[Resource | Sequence[Resource]] = ()
    set_unknown: Sequence[Resource | Sequence[Resource]] = ()
    not_applicable: Sequence[Resource | Sequence[Resource]] = ()
    settings: Settings = field(default_factory=Settings)
    complete: bool = False

    def check(self, rule: str) -> None:
        """Assert all of it for a rule."""
        for stack in (*self.passing, *self.set_unknown):
            assert_passes(rule, *_listed(stack), settings=self.settings, complete=self.complete)
        for stack in self.failing:
            assert_finds(rule, *_listed(stack), settings=self.settings, complete=self.complete)
        for stack in self.undecided:
            assert_undecided(rule, *_listed(stack), settings=self.settings)
        for stack in self.not_applicable:
            assert_not_applicable(rule, *_listed(stack), settings=self.settings, complete=self.complete)


def stack_of(graph: Graph, *, name: str = "test") -> Stack:
    """What a program declares, as rules see it.

    Arguments:
        graph: what was captured, in preview.
        name: name of the stack.
    """
    inputs = {captured.urn: decoded(captured.wire) for captured in graph.resources}
    return Stack(
        [
            normalised(
                Resource(
                    captured.type,
                    captured.name,
                    inputs[captured.urn],
                    urn=captured.urn,
                    parent=captured.parent,
                    dependencies=captured.depends_on,
                    property_dependencies=captured.property_dependencies,
                    provider=inputs.get(captured.provider.rpartition("::")[0]) if captured.provider else None,
                    protect=captured.protect,
                    outputs=graph.outputs.get(captured.urn, {}),
                )
            )
            for captured in graph.resources
            if not captured.type.startswith("pulumi:")
        ],
        name=name,
    )


def _listed(stack: Resource | Sequence[Resource]) -> Sequence[Resource]:
    return [stack] if isinstance(stack, Resource) else stack


def _stack(subject: Resource | Stack | Iterable[Resource] | Callable[[], Any], complete: bool) -> Stack:
    if isinstance(subject, Stack):
        return subject
    if isinstance(subject, Resource):
        return Stack([subject], complete=complete)
    if callable(subject):
        return stack_of(capture(subject, outputs=preview_outputs, preview=True))
    return Stack(list(subject), complete=complete)
