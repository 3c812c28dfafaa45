"""What the owner promises about the model: who watches it, how long evidence is kept, what it may cost, and which rules
do not hold for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from pulumi_mlops.spec.base import Duration, Email, Name, Section, repeated
from pulumi_mlops.spec.endpoints import Endpoint, RestEndpoint
from pulumi_mlops.spec.errors import Mistake


def _date(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise Mistake("MLOPS-S024", "not a date", expected="a date such as 2027-11-01")
    return value


Date = Annotated[
    date,
    BeforeValidator(_date),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-?[0-9]{2}-?[0-9]{2}$", "examples": ["2027-11-01"]}),
]
"""A day (ISO 8601)."""

Text = Annotated[str, StringConstraints(min_length=1)]
"""Some text."""

Framework = Literal["eu-ai-act", "nist-ai-rmf", "iso-42001", "sr-26-2", "hipaa", "gdpr", "soc2", "gmlp", "aws-ai-bp"]
"""A body of rules that `mlops compliance` reports on."""


class Oversight(Section):
    """Who watches the system while it is used (EU AI Act, Art. 14 and 26(2); NIST AI RMF, MAP 3.5)."""

    role: Text
    """Person or role that understands the system, watches its operation and may stop it."""

    contact: Email
    """E-mail address at which that person or role is reached."""


class Retention(Section):
    """The least time for which evidence is kept."""

    logs: Duration | None = None
    """Least age at which records of inference (captured requests and answers) and entries of the audit log may be
    deleted (EU AI Act, Art. 19(1) and 26(6): six months for high-risk systems). An endpoint's `capture.retention` may
    not be shorter, and follows it where it is not set. On the local platform the audit log is kept for ever; the
    services' own log files are not evidence, and are rotated by size (`platform.local.logs`).
    Default: nothing is promised."""

    technical_file: Duration | None = None
    """Least age at which a model version, its card and its metrics may be deleted, whatever `registry.keep_versions`
    says (EU AI Act, Art. 18(1): ten years for high-risk systems). Default: nothing is promised."""


class Budget(Section):
    """What the stack may cost in a calendar month; for cloud platforms."""

    monthly_usd: Annotated[float, Field(gt=0)]
    """The budget in US dollars."""

    alert_at: Annotated[list[Annotated[float, Field(gt=0, le=2)]], Field(min_length=1)] = Field(
        default_factory=lambda: [0.8, 1.0]
    )
    """Shares of the budget at which the contacts are told. Default: 0.8 and 1."""

    contacts: Annotated[list[Email], Field(min_length=1)]
    """E-mail addresses that are told."""

    def mistakes(self) -> Iterator[Mistake]:
        """Shares and contacts differ."""
        yield from repeated(self.alert_at, "alert_at")
        yield from repeated(self.contacts, "contacts")


class Exemption(Section):
    """A rule that does not hold for a resource until a day. Policies judge whether it is valid: one that has expired,
    excuses nothing, or was approved by the owner is itself a finding."""

    rule: Name
    """Id of the rule."""

    resource: Annotated[str, StringConstraints(pattern="[^*]")]
    """Name of the resource or component that is exempt; `*` stands for any part of a name, but not for all of it."""

    reason: Text
    """Why the rule does not hold."""

    approver: Text
    """Person who approved it; not the owner."""

    ticket: Text
    """Where the decision is recorded: a number or an address."""

    expires: Date
    """Last day on which it holds."""


class Governance(Section):
    """Accountability, evidence and limits beyond the model itself."""

    frameworks: list[Framework] = Field(default_factory=list)
    """Frameworks that the owner claims to follow, stated in the model card and in the record; policies judge by all of
    their rules whatever is claimed, and `mlops compliance FRAMEWORK` reports on one.
    eu-ai-act: Regulation (EU) 2024/1689; nist-ai-rmf: NIST AI 100-1; iso-42001: ISO/IEC 42001:2023; sr-26-2: the US
    banking agencies' guidance on model risk; hipaa: 45 CFR 164; gdpr: Regulation (EU) 2016/679; soc2: AICPA Trust
    Services Criteria; gmlp: FDA's Good Machine Learning Practice; aws-ai-bp: AWS Security Hub, AI Security Best
    Practices. Default: none claimed."""

    oversight: Oversight | None = None
    """Who watches the system while it is used. Default: nobody named."""

    review_by: Date | None = None
    """Day by which the model is reviewed, or retired (NIST AI RMF, GOVERN 1.5 and 1.7; SR 26-2). Default: none."""

    impact_assessment: Text | None = None
    """Address or number of the data protection or fundamental rights impact assessment (GDPR, Art. 35; EU AI Act,
    Art. 27). Default: none."""

    retention: Retention = Retention()
    """The least time for which evidence is kept."""

    regions: Annotated[list[Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$")]], Field(min_length=1)] | None = (
        None
    )
    """Regions of a cloud in which data and endpoints may be (GDPR, Art. 44 to 46). Default: any."""

    budget: Budget | None = None
    """What the stack may cost; for cloud platforms. Default: no limit."""

    tags: dict[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.:-]*$", max_length=128)],
        Annotated[str, StringConstraints(max_length=256)],
    ] = Field(default_factory=dict)
    """Labels on every run and model version, and on every resource of a cloud that takes tags; where
    `identity.tags` has the same label, that one holds for runs and versions. Default: none."""

    exemptions: list[Exemption] = Field(default_factory=list)
    """Rules that do not hold for a while. Default: none."""

    def mistakes(self) -> Iterator[Mistake]:
        """Names differ, and labels are not those of the systems that keep them."""
        yield from repeated(self.frameworks, "frameworks")
        yield from repeated(self.regions or [], "regions")
        for name in self.tags:
            if name.startswith(("aws:", "mlflow.", "mlops.")):
                message = "this label is reserved for the system that keeps it"
                hint = "Choose one that does not begin with aws:, mlflow. or mlops."
                yield Mistake("MLOPS-S015", message, at=("tags", name), hint=hint, on_key=True)
        pairs = [(exemption.rule, exemption.resource) for exemption in self.exemptions]
        for i, (rule, resource) in enumerate(pairs):
            if (rule, resource) in pairs[:i]:
                message = f"{rule} is exempt for {resource} already"
                yield Mistake("MLOPS-S034", message, at=("exemptions", i), hint="Keep one of them.")

    def deletes_too_early(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint's own setting deletes captured requests before `retention.logs` allows it."""
        if not isinstance(endpoint, RestEndpoint) or endpoint.capture is None or self.retention.logs is None:
            return False
        return "retention" in endpoint.capture.model_fields_set and endpoint.capture.retention < self.retention.logs

    def keeping(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint, whose captured requests are kept for `retention.logs` at least where it does not say for how
        long."""
        if not isinstance(endpoint, RestEndpoint) or endpoint.capture is None or self.retention.logs is None:
            return endpoint
        if "retention" in endpoint.capture.model_fields_set:
            return endpoint
        longer = max(endpoint.capture.retention, self.retention.logs)
        capture = endpoint.capture.model_copy(update={"retention": longer})
        return endpoint.model_copy(update={"capture": capture})
