"""The frameworks that rules refer to: laws, standards and catalogues of controls, clause by clause.

Each is a YAML file beside this module. A clause says in `beyond` what no tool can find out about it, so that a report
claims no more than was checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import yaml

SELECTABLE: Final = ("eu-ai-act", "nist-ai-rmf", "iso-42001", "sr-26-2", "hipaa", "gdpr", "soc2", "gmlp", "aws-ai-bp")
"""Frameworks that a reader can ask a report for; the others are only cited."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause of a framework.

    Arguments:
        id: how rules cite it, exactly.
        title: what it asks, in a few words of our own.
        beyond: what no tool can find out about it; where no rule cites the clause, all there is to say.
    """

    id: str
    title: str
    beyond: str = ""


@dataclass(frozen=True, slots=True)
class Framework:
    """A law, a standard, or a catalogue of controls.

    Arguments:
        id: how rules and specs name it.
        short: its name as people say it.
        title: its full name.
        version: the edition that the clauses were read in, and since when it binds.
        source: address of the official text.
        selectable: whether a report on it can be asked for.
        clauses: its clauses by id, in the order of the text.
    """

    id: str
    short: str
    title: str
    version: str
    source: str
    selectable: bool
    clauses: Mapping[str, Clause]

    def clause(self, name: str) -> Clause:
        """The clause of an id; a ValueError says where it's looked for in vain."""
        try:
            return self.clauses[name]
        except KeyError:
            raise ValueError(f"{self.id} has no clause {name!r} (frameworks/{self.id}.yaml)") from None


@cache
def load() -> Mapping[str, Framework]:
    """All frameworks by id, those that are selectable first."""
    data = (file for file in files(__name__).iterdir() if file.name.endswith(".yaml"))
    found = [_framework(file.name, file.read_text("utf-8")) for file in data]
    order = {name: place for place, name in enumerate(SELECTABLE)}
    found.sort(key=lambda one: (order.get(one.id, len(order)), one.id))
    return MappingProxyType({one.id: one for one in found})


def framework(name: str) -> Framework:
    """The framework of an id; a ValueError lists those that there are."""
    try:
        return load()[name]
    except KeyError:
        raise ValueError(f"there is no framework {name!r}; there are {', '.join(load())}") from None


def _framework(name: str, text: str) -> Framework:
    document: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    clauses: dict[str, Clause] = {}
    for entry in document.pop("clauses"):
        clause = Clause(**entry)
        if clause.id in clauses:
            raise ValueError(f"{name}: two clauses are called {clause.id}")
        clauses[clause.id] = clause
    one = Framework(**document, clauses=MappingProxyType(clauses))
    if name != f"{one.id}.yaml":
        raise ValueError(f"{name}: its id is {one.id}")
    return one
