"""The judgement itself: exemptions that hold, and nothing that passes because it could not be judged."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_policies.findings import Finding, Outcome
from mlops_policies.judge import GOVERNING, Judged
from mlops_policies.kinds import mlops
from mlops_policies.registry import pack, rules
from mlops_policies.settings import Exemption

rule = pack("ml-governance")


@rule(
    severity="critical",
    last=True,
    remediation="Mend what is exempted and take the exemption out, or have somebody other than the owner renew it.",
    reason="An exemption without a reason, an approver other than the owner, a ticket and an end is a control switched "
    "off for ever by the person whom it binds.",
)
def exemption_valid(judged: Judged) -> Iterator[Finding]:
    """Every exemption excuses something, for a reason, until a day, approved by somebody other than the owner.

    One that excuses nothing is not needed, and would hide what comes later. Where a rule is not decided yet, its
    exemptions wait with it. Each pack judges the exemptions from its own rules.
    """
    written = list(_written(judged))
    seen: set[tuple[str, str]] = set()
    for exemption in judged.settings.exemptions:
        pair = (exemption.rule, exemption.resource)
        fault = "a repetition" if pair in seen else _fault(exemption, judged)
        seen.add(pair)
        if fault:
            field = f"governance.exemptions[{written.index(pair)}]" if pair in written else ""
            yield judged.finding(f"the exemption of {exemption.resource} from {exemption.rule} is {fault}", field=field)


def _written(judged: Judged) -> Iterator[tuple[str | None, str | None]]:
    """Rule and resource of the exemptions in a spec; others are in the configuration of the packs."""
    for component in judged.stack.of(mlops.STACK) or judged.stack.of(mlops.GOVERNANCE):
        path = "governance.exemptions" if component.type == mlops.STACK else "exemptions"
        yield from ((item.text("rule"), item.text("resource")) for item in component.each(path))


def _fault(exemption: Exemption, judged: Judged) -> str:
    known, packs = rules().get(exemption.rule), {rule.pack for rule in judged.rules if not rule.last}
    if known is None or known.last:
        # Told by the pack of this rule alone: packs are judged apart, and each would say it.
        reason = "for a rule that does not exist" if known is None else "for a rule that allows none"
        return reason if exemption_valid.pack in packs else ""
    if known.pack not in packs:
        return ""
    if fault := exemption.fault(judged.settings.owner, judged.settings.today):
        return fault
    if known not in judged.rules:
        return ""
    if any(result.exemption == exemption for result in judged.results):
        return ""
    return "not needed: the rule finds nothing there"


@rule(
    severity="high",
    last=True,
    remediation="Give the value in the program, or mend the rule; where neither can be, exempt the resource for a "
    "time.",
    reason="A rule that could not be decided has shown nothing; counting it as passed would let an unknown value hide "
    "a violation.",
)
def not_evaluable_is_failure(judged: Judged) -> Iterator[Finding]:
    """Whatever can't be judged counts as a failure, and not as passed.

    That is a rule that breaks, and over a state a rule that misses a value: before, it waits until the value is known.
    """
    for component in judged.stack.of(*GOVERNING):
        component.value("model")
    for result in judged.results:
        if result.exemption is not None:
            continue
        missing = result.outcome is Outcome.UNDECIDED and judged.stack.complete
        if missing or result.outcome is Outcome.ERROR:
            message = f"{result.rule.id} could not be judged for {result.about or 'the stack'}: {result.message}"
            yield Finding(message, result.resource.urn if result.resource else "", result.path, result.field)
