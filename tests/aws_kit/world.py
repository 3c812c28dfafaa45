"""The resources of a stack as they would be in the account: by ARN, by name, and what their inputs mention."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pulumi_mlops.testing import Captured, aws
from tests.aws_kit.plain import plain


@dataclass(frozen=True)
class Thing:
    """A resource with what AWS would have made of it.

    Arguments:
        resource: as it was captured.
        kind: its type, as in `sagemaker/endpoint`.
        inputs: as AWS gets them.
        outputs: as AWS gives them, `id` and `arn` among them.
    """

    resource: Captured
    kind: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]

    @property
    def title(self) -> str:
        """For messages: its type and its name in the program."""
        return f"{self.kind} {self.resource.name}"

    @property
    def arn(self) -> str:
        """Its ARN; empty if it has none."""
        return str(self.outputs.get("arn", ""))

    @property
    def name(self) -> str:
        """Its name in AWS, or its id."""
        form = aws.FORMS.get(self.kind, aws.Form())
        return str(self.outputs.get(form.name) or self.outputs["id"])

    @cached_property
    def mentioned(self) -> list[tuple[str, str]]:
        """Every text in its inputs, those within JSON documents included, each with its path."""
        return list(_texts(self.inputs, ""))


class World:
    """An account with the resources of a stack.

    Arguments:
        resources: the stack.
        account: the account's id.
        region: its region.
    """

    def __init__(self, resources: Sequence[Captured], *, account: str, region: str) -> None:
        self.account, self.region = account, region
        self.things = [self._thing(each) for each in resources if each.type.startswith("aws:")]

    def _thing(self, resource: Captured) -> Thing:
        inputs = plain(resource.inputs)
        made = aws.outputs(resource.type, resource.name, inputs, account=self.account, region=self.region)
        return Thing(resource, resource.type.split(":")[1], inputs, made)

    def of(self, kind: str) -> list[Thing]:
        """Resources of a type."""
        return [thing for thing in self.things if thing.kind == kind]

    @cached_property
    def arns(self) -> dict[str, Thing]:
        """Resources by ARN."""
        return {thing.arn: thing for thing in self.things if thing.arn}

    def names(self, kind: str) -> set[str]:
        """Names of the resources of a type."""
        return {thing.name for thing in self.of(kind)}


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{index}]")
    elif isinstance(value, str):
        document = _document(value)
        if document is None:
            yield path, value
        else:
            yield from _texts(document, path)


def _document(text: str) -> Any:
    if not text.startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
