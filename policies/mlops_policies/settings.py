"""What a judgement is told: which rules run, how strictly, with which parameters, and what is exempted.

One document says it, the same for `pulumi … --policy-pack-config FILE` and `mlops check --policy-config FILE`:

```json
{
  "all": "mandatory",
  "encrypt-bucket-kms": "advisory",
  "cost-tags-required": {"enforcementLevel": "remediate", "required": ["owner"]},
  "pack-settings": {
    "frameworks": ["eu-ai-act"],
    "severity": "medium",
    "levels": {"dev": {"all": "advisory"}, "prod": {"all": "mandatory"}}
  }
}
```

The later and the nearer wins: a rule's default level (mandatory for high and critical severity, else advisory), `all`,
the rule's own entry, and then the same two for the environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from fnmatch import fnmatchcase
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlops_policies import frameworks
from mlops_policies.findings import Level, Severity
from mlops_policies.registry import PACKS, Parameters, Rule, rules

_M = TypeVar("_M", bound=BaseModel)

PACK_SETTINGS: Final = "pack-settings"
"""The entry that holds what is no rule's own."""


class SettingsError(ValueError):
    """Settings that can't be used: which entry, what was expected."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """A finding that is accepted for a time.

    Arguments:
        rule: id of the rule.
        resource: name of the resource, in which `*` stands for anything.
        reason: why it is accepted.
        approver: who accepted it; not the owner.
        ticket: where the decision is recorded.
        expires: the last day on which it holds.
    """

    rule: str
    resource: str
    reason: str
    approver: str
    ticket: str
    expires: date

    def covers(self, rule: str, resource: str) -> bool:
        """Whether a finding of a rule about a resource of that name is meant."""
        return rule == self.rule and fnmatchcase(resource, self.resource)

    def fault(self, owner: str, today: date) -> str:
        """Why it does not hold; empty where it does.

        Arguments:
            owner: who answers for the model.
            today: the day on which it is judged.
        """
        if self.expires < today:
            return f"expired on {self.expires}"
        if owner and self.approver.strip().casefold() == owner.strip().casefold():
            return "approved by the owner"
        missing = [name for name in ("reason", "approver", "ticket") if not getattr(self, name).strip()]
        return f"without {' and '.join(missing)}" if missing else ""

    def as_json(self) -> dict[str, str]:
        """The exemption as JSON values."""
        return {**asdict(self), "expires": self.expires.isoformat()}

    @classmethod
    def read(cls, fact: Mapping[str, Any]) -> Exemption:
        """An exemption as a component publishes it.

        Raises:
            SettingsError: something is missing or not a date.
        """
        if not isinstance(fact, Mapping):
            raise SettingsError("an exemption is a mapping of rule, resource, reason, approver, ticket and expires")
        texts = {name: str(fact.get(name, "")) for name in ("rule", "resource", "reason", "approver", "ticket")}
        try:
            return cls(**texts, expires=date.fromisoformat(str(fact.get("expires", ""))))
        except ValueError:
            raise SettingsError(f"the exemption of {texts['rule']} has no date `expires`, such as 2027-01-31") from None


class PackSettings(BaseModel):
    """What is no rule's own."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    frameworks: list[str] = Field(default_factory=list)
    """Frameworks whose rules run; the frameworks that a spec names do not narrow what is judged. Default: all rules
    run."""

    severity: Severity = Severity.LOW
    """Least severity of the rules that run. Default: low, all of them."""

    levels: dict[str, dict[str, Level]] = Field(default_factory=dict)
    """For each environment (the spec's, else the stack's name), levels of rules by id, and of `all`."""

    exemptions: list[dict[str, date | str]] = Field(default_factory=list)
    """Exemptions beside those of the spec: rule, resource, reason, approver, ticket, expires."""


@dataclass(frozen=True)
class Settings:
    """How to judge.

    Arguments:
        levels: level by rule id and for `all`; what is not named has its default.
        parameters: parameters by rule id.
        frameworks: frameworks whose rules run; empty: all rules.
        severity: least severity of the rules that run.
        environments: for each environment, levels as above.
        environment: the environment, or an empty text.
        exemptions: findings that are accepted.
        owner: who answers for the model: approves no exemption.
        today: the day on which exemptions and dates are judged.
    """

    levels: Mapping[str, Level] = field(default_factory=dict)
    parameters: Mapping[str, Parameters] = field(default_factory=dict)
    frameworks: tuple[str, ...] = ()
    severity: Severity = Severity.LOW
    environments: Mapping[str, Mapping[str, Level]] = field(default_factory=dict)
    environment: str = ""
    exemptions: tuple[Exemption, ...] = ()
    owner: str = ""
    today: date = field(default_factory=date.today)

    @classmethod
    def read(cls, document: Mapping[str, Any], *, environment: str = "") -> Settings:
        """Settings from a policy configuration; see the module.

        Arguments:
            document: the configuration.
            environment: the environment, until a spec names its own.

        Raises:
            SettingsError: an entry is no rule, no level, or has parameters that the rule does not take.
        """
        known = rules()
        levels: dict[str, Level] = {}
        parameters: dict[str, Parameters] = {}
        common = PackSettings()
        for name, entry in document.items():
            if name == PACK_SETTINGS:
                if not isinstance(entry, Mapping):
                    raise SettingsError(f"{name}: expected a mapping")
                common = _model(PackSettings, entry, name)
                continue
            given = dict(entry) if isinstance(entry, Mapping) else {"enforcementLevel": entry}
            if name != "all" and name not in known:
                raise SettingsError(f"there is no rule {name}; `mlops rules` lists them")
            if "enforcementLevel" in given:
                levels[name] = _level(given.pop("enforcementLevel"), name)
            if given:
                parameters[name] = _parameters(known.get(name), given, name)
        for place, named in common.levels.items():
            if strange := [name for name in named if name != "all" and name not in known]:
                raise SettingsError(f"{PACK_SETTINGS}.levels.{place}: there is no rule {strange[0]}")
        return cls(
            levels=levels,
            parameters=parameters,
            frameworks=tuple(_framework(name) for name in common.frameworks),
            severity=common.severity,
            environments=common.levels,
            environment=environment,
            exemptions=tuple(Exemption.read(entry) for entry in common.exemptions),
        )

    def level(self, rule: Rule) -> Level:
        """How strictly a rule holds in the environment."""
        if rule.severity.rank < self.severity.rank or not self.serves(rule):
            return Level.DISABLED
        default = Level.MANDATORY if rule.severity.rank >= Severity.HIGH.rank else Level.ADVISORY
        here = self.environments.get(self.environment, {})
        for levels in (here, self.levels):
            if (found := levels.get(rule.id) or levels.get("all")) is not None:
                return Level(found)
        return default

    def serves(self, rule: Rule) -> bool:
        """Whether a rule belongs to the frameworks looked at; rules that keep judging honest belong to all."""
        return not self.frameworks or rule.last or any(name in rule.references for name in self.frameworks)

    def of(self, rule: Rule) -> Parameters | None:
        """A rule's parameters: as configured, or its defaults."""
        if rule.parameters is None:
            return None
        return self.parameters.get(rule.id) or rule.parameters()

    def governed(self, facts: Mapping[str, Any] | None, *, owner: str = "", environment: str = "") -> Settings:
        """The settings with what a stack's governance section says.

        Arguments:
            facts: the section as the component publishes it.
            owner: who answers for the model.
            environment: the spec's environment.

        Raises:
            SettingsError: the section has an exemption without a date.
        """
        facts = facts or {}
        entries = facts.get("exemptions") or ()
        if not isinstance(entries, list | tuple):
            raise SettingsError("exemptions is a list")
        declared = tuple(Exemption.read(entry) for entry in entries)
        return replace(
            self,
            exemptions=(*self.exemptions, *(found for found in declared if found not in self.exemptions)),
            owner=owner or self.owner,
            environment=environment or self.environment,
        )


def schema() -> dict[str, Any]:
    """The JSON Schema of a policy configuration, for editors."""
    level = {"enum": [str(level) for level in Level]}
    definitions: dict[str, Any] = {}

    def model(of: type[BaseModel]) -> dict[str, Any]:
        made = of.model_json_schema()
        definitions.update(made.pop("$defs", {}))
        return made

    entries: dict[str, Any] = {"all": level, PACK_SETTINGS: model(PackSettings)}
    for rule in rules().values():
        own: dict[str, Any] = model(rule.parameters) if rule.parameters else {"type": "object"}
        properties = {"enforcementLevel": level, **own.get("properties", {})}
        whole = {**own, "properties": properties, "additionalProperties": False}
        entries[rule.id] = {"description": rule.title, "anyOf": [level, whole]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of the mlops policy packs",
        "type": "object",
        "properties": entries,
        "additionalProperties": False,
        "$defs": definitions,
    }


def selected(packs: Iterable[str]) -> list[Rule]:
    """The rules of some packs, and with them those that judge the judgement; of all where none is named.

    Raises:
        SettingsError: there is no such pack.
    """
    names = list(packs)
    for name in names:
        if name not in PACKS:
            raise SettingsError(f"there is no pack {name}; there are {', '.join(PACKS)}")
    return [rule for rule in rules().values() if not names or rule.pack in names or rule.last]


def _level(value: Any, at: str) -> Level:
    try:
        return Level(value)
    except ValueError:
        raise SettingsError(f"{at}: {value!r} is no level; expected one of {', '.join(Level)}") from None


def _framework(name: str) -> str:
    if name not in frameworks.SELECTABLE:
        raise SettingsError(f"there is no framework {name}; there are {', '.join(frameworks.SELECTABLE)}")
    return name


def _parameters(rule: Rule | None, given: Mapping[str, Any], name: str) -> Parameters:
    if rule is None or rule.parameters is None:
        raise SettingsError(f"{name} takes no parameters, and was given {', '.join(given)}")
    return _model(rule.parameters, given, name)


def _model(model: type[_M], given: Mapping[str, Any], name: str) -> _M:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in (name, *first["loc"]))
        raise SettingsError(f"{where}: {first['msg'].lower()}") from None
