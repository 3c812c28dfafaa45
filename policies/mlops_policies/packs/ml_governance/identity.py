"""Who answers for a model, what it is for, and who watches it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, kubernetes, mlops
from mlops_policies.kinds.labels import has_label, label
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, Stack

rule = pack("ml-governance")

TIERS = ("minimal", "limited", "high")
_SERVED = (mlops.REGISTRY, *aws.ENDPOINT, *kubernetes.INFERENCE_SERVICE)


@rule(
    *_SERVED,
    severity="high",
    remediation="Set `identity.owner` and `identity.contact`; tag other resources with `owner` and `contact`.",
    references={
        "eu-ai-act": ["Art. 17(1)(m)"],
        "nist-ai-rmf": ["GOVERN 2.1"],
        "iso-42001": ["A.3.2"],
        "sr-26-2": ["VI. Roles and responsibilities"],
        "soc2": ["CC1.3"],
    },
)
def model_has_owner(model: Resource) -> Iterator[Finding]:
    """Somebody answers for every deployed model, and can be reached.

    A model of ours names a person and an address. A SageMaker endpoint or an InferenceService has the labels `owner`
    and `contact`; an owner that is an e-mail address is both.
    """
    if model.type == mlops.REGISTRY:
        for name, what in (("owner", "nobody answers for the model"), ("contact", "the owner's address is not given")):
            if not model.has(name):
                yield model.finding(what, name, field=f"identity.{name}")
        return
    at = "metadata.labels" if model.type.startswith("kubernetes:") else "tags"
    if not has_label(model, "owner", "team"):
        yield model.finding("no label says who answers for the model", at)
    elif not has_label(model, "contact", "email") and "@" not in (label(model, "owner") or ""):
        yield model.finding("no label says how the owner is reached", at)


@rule(
    mlops.REGISTRY,
    graph=True,
    severity="high",
    remediation="Fill in `registry.card`; the rest of the card is made from the record of each run.",
    references={
        "eu-ai-act": [
            "Art. 11(1)",
            "Art. 13(2)",
            "Art. 15(3)",
            "Annex IV(1)",
            "Annex IV(2)",
            "Annex IV(3)",
            "Annex IV(4)",
        ],
        "nist-ai-rmf": ["MAP 2.2", "MEASURE 2.9"],
        "iso-42001": ["A.6.2.7", "A.8.2"],
        "sr-26-2": ["VI. Documentation"],
        "gmlp": ["Principle 9"],
    },
)
def model_has_card(registry: Resource, stack: Stack) -> Iterator[Finding]:
    """Every version of a model has a card.

    The card is made when the version is registered, and holds data, metrics and intended use. For a model of high risk
    it also holds what no record can fill: who uses it, which harms were considered, and what users must heed (Mitchell
    et al. 2019, Model Cards for Model Reporting).
    """
    if not registry.flag("card.generated"):
        yield registry.finding("versions get no model card", "card", field="registry.card")
    if not mlops.high_risk(stack, registry):
        return
    for fact, spec in (
        ("intendedUsers", "intended_users"),
        ("ethicalConsiderations", "ethical_considerations"),
        ("caveats", "caveats"),
    ):
        if not registry.has(f"card.{fact}"):
            message = f"the card of a high-risk model does not state its {spec.replace('_', ' ')}"
            yield registry.finding(message, f"card.{fact}", field=f"registry.card.{spec}")


@rule(
    mlops.REGISTRY,
    severity="medium",
    remediation="Set `identity.purpose` and `identity.limitations`.",
    references={
        "eu-ai-act": ["Art. 13(3)(b)", "Annex IV(1)(a)"],
        "nist-ai-rmf": ["MAP 1.1"],
        "iso-42001": ["A.9.4"],
        "gmlp": ["Principle 6"],
        "sr-26-2": ["III. Materiality"],
    },
)
def model_has_intended_purpose(registry: Resource) -> Iterator[Finding]:
    """A model says what it is for, and what it is not for.

    Both go into the card of each version, where users of the model find them.
    """
    for name, what in (("purpose", "what the model is for"), ("limitations", "which uses it is not fit for")):
        if not registry.has(name):
            yield registry.finding(f"it is not stated {what}", name, field=f"identity.{name}")


@rule(
    *_SERVED,
    severity="high",
    remediation="Set `identity.risk_tier`; tag other resources with `risk-tier`: minimal, limited or high.",
    references={
        "eu-ai-act": ["Art. 6(1)", "Art. 6(2)", "Art. 9(1)", "Art. 9(2)"],
        "nist-ai-rmf": ["MAP 1.5", "MANAGE 1.2"],
        "iso-42001": ["A.5.2"],
        "sr-26-2": ["III. Materiality"],
        "gdpr": ["Art. 35(1)"],
    },
)
def model_has_risk_tier(model: Resource) -> Iterator[Finding]:
    """The risk tier of every deployed model is declared.

    The tier decides which other rules apply: high risk asks for approval by a person, oversight, tests for bias,
    explanations and longer retention. Whether it was judged rightly, no tool can tell.
    """
    if model.type == mlops.REGISTRY:
        tier, at, field = model.text("riskTier"), "riskTier", "identity.risk_tier"
    else:
        mlops.not_ours(model)
        tier, field = label(model, "risk-tier"), ""
        at = "metadata.labels" if model.type.startswith("kubernetes:") else "tags"
    if tier is None:
        yield model.finding("the risk tier is not declared", at, field=field)
    elif tier.casefold() not in TIERS:
        yield model.finding(f"the risk tier is none of {', '.join(TIERS)}", at, field=field)


@rule(
    mlops.REGISTRY,
    graph=True,
    severity="high",
    remediation="Set `governance.oversight`: the role that may stop the system, and its address.",
    references={
        "eu-ai-act": ["Art. 14(1)", "Art. 26(2)"],
        "nist-ai-rmf": ["GOVERN 3.2", "MAP 3.5"],
        "gdpr": ["Art. 22(3)"],
    },
)
def human_oversight_declared(registry: Resource, stack: Stack) -> Iterator[Finding]:
    """A person or role watches every high-risk model in use, and may stop it.

    Judged is that the role and its address are declared; whether those people have the competence, training and
    authority that the law asks for, no tool can tell.
    """
    mlops.only_high_risk(stack, registry)
    declared = mlops.governance(stack, registry)
    for name, what in (("role", "nobody is named who watches"), ("contact", "there is no address of those who watch")):
        if not declared.has(f"oversight.{name}"):
            field = f"governance.oversight.{name}" if declared.has("oversight") else "governance.oversight"
            yield registry.finding(f"{what} this high-risk model", field=field)
            return


class Review(Parameters):
    """Parameters of `model-review-current`."""

    today: date | None = None
    """The day on which it is judged. Default: today."""


@rule(
    mlops.REGISTRY,
    graph=True,
    severity="medium",
    remediation="Set `governance.review_by` to a day to come, after the review or the decision to retire the model.",
    references={
        "nist-ai-rmf": ["GOVERN 1.5", "GOVERN 1.7"],
        "sr-26-2": ["V. Ongoing monitoring"],
        "iso-42001": ["A.6.2.6"],
    },
    parameters=Review,
)
def model_review_current(registry: Resource, stack: Stack, parameters: Review) -> Iterator[Finding]:
    """A model has a day by which it is reviewed or retired, and that day is not past.

    Data and use move on while the model stays: somebody must look again, and decide whether it is still fit.
    """
    text = mlops.governance(stack, registry).text("reviewBy")
    try:
        due = date.fromisoformat(text) if text else None
    except ValueError:
        due = None
    if due is None:
        yield registry.finding("no day is set by which the model is reviewed or retired", field="governance.review_by")
    elif due < (parameters.today or date.today()):
        yield registry.finding(f"the review was due on {due}", field="governance.review_by")
