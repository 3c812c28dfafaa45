"""Policy documents of AWS: those of identities, of resources and of trust.

Source: IAM User Guide, "JSON policy element reference".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_policies.resources import View

_RESTRICTING: Final = frozenset(
    (
        "aws:sourceip",
        "aws:sourcearn",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:sourceowner",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:principalarn",
        "aws:principalaccount",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:userid",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "s3:dataaccesspointarn",
        "s3:dataaccesspointaccount",
    )
)
_ANYTHING: Final = frozenset(("*", "0.0.0.0/0", "::/0"))


class Statement(View):
    """A statement of a policy document.

    Names of elements begin with a capital letter, and with a small one where Cloud Control is told the document.
    """

    __slots__ = ()

    def element(self, name: str) -> str:
        """How the statement spells an element."""
        small = f"{name[:1].lower()}{name[1:]}"
        return small if self.has(small) else name

    def effect(self, name: str) -> bool:
        """Whether it is an Allow, or a Deny. Raises as `known` does."""
        return self.text(self.element("Effect")) == name

    def listed(self, name: str) -> list[str]:
        """The texts of an element: actions, resources. Raises as `known` does."""
        return self.texts(self.element(name))

    def everybody(self) -> bool:
        """Whether anybody may be the principal. Raises as `known` does."""
        if self.has(self.element("NotPrincipal")):
            return True
        name = self.element("Principal")
        if self.text(name) == "*":
            return True
        principals = self.view(name)
        return any("*" in principals.texts(kind) for kind in principals.keys("") if kind.casefold() == "aws")

    def conditions(self) -> Iterator[tuple[str, str, View]]:
        """Its conditions: operator, key, values. Raises as `known` does."""
        operators = self.view(self.element("Condition"))
        for operator in operators.keys(""):
            tests = View(self.resource, operators.node.get(operator), operators.at(operator))
            for key in tests.keys(""):
                yield operator, key, View(self.resource, tests.node.get(key), tests.at(key))

    def public(self) -> bool:
        """Whether it allows something to anybody.

        A condition that compares one of some keys with fixed values keeps it from that: the account, organisation,
        network or resource that a request comes from (S3 User Guide, 'The meaning of "public"').

        Raises:
            Undecided: it is not known yet.
        """
        return self.effect("Allow") and self.everybody() and not any(_restricts(*found) for found in self.conditions())


def statements(owner: View, path: str) -> list[Statement]:
    """The statements of a document, which is JSON text or an object.

    Raises:
        Undecided: it is not known yet, or is no JSON.
    """
    document = owner.json(path)
    name = "statement" if document.has("statement") else "Statement"
    return [Statement(found.resource, found.node, found.path) for found in document.each(name)]


def _restricts(operator: str, key: str, values: View) -> bool:
    if key.casefold() not in _RESTRICTING or "Not" in operator or operator.endswith("IfExists"):
        return False
    return bool(values.texts()) and _ANYTHING.isdisjoint(values.texts())
