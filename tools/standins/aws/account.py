"""An AWS account that is a folder: a file for each resource, and a journal of what was done to them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pulumi_mlops.testing.aws import FORMS, Form
from tools.console import ToolError


class RefusedError(ToolError):
    """What AWS would refuse."""


@dataclass(frozen=True)
class Thing:
    """A resource in the account.

    Arguments:
        type: Pulumi's type (`aws:kms/key:Key`).
        id: its id in Pulumi.
        inputs: as it was asked for.
        outputs: what AWS made of it beside.
    """

    type: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]

    @property
    def kind(self) -> str:
        """Its type without package and class (`kms/key`)."""
        return self.type.split(":")[1]


class Account:
    """What is there.

    Arguments:
        folder: where it is kept; it is made.
    """

    def __init__(self, folder: Path) -> None:
        self._things, self._journal = folder / "things", folder / "journal.jsonl"
        self._things.mkdir(parents=True, exist_ok=True)

    def create(self, thing: Thing) -> None:
        """Make a resource.

        Raises:
            RefusedError: one with its id is there.
        """
        if self._file(thing.type, thing.id).exists():
            raise RefusedError(f"{thing.kind} {thing.id} exists already")
        self._write("create", thing)

    def change(self, thing: Thing) -> None:
        """Give a resource other properties.

        Raises:
            RefusedError: it is not there.
        """
        self.find(thing.type, thing.id)
        self._write("update", thing)

    def delete(self, type_: str, id_: str) -> None:
        """Take a resource away; without effect if it is not there.

        Raises:
            RefusedError: another one refers to it.
        """
        file = self._file(type_, id_)
        if not file.exists():
            return
        thing = self.find(type_, id_)
        others = self.things()
        emptied = [each.id for each in others if each.kind == "s3/bucket" and each.inputs.get("forceDestroy")]
        left = [each for each in others if each.kind in _OBJECTS and each.inputs["bucket"] in emptied]
        if held := [f"{each.kind} {each.id}" for each in others if each not in left and _refers(each, thing)]:
            raise RefusedError(f"{thing.kind} {thing.id} is in use by {', '.join(sorted(held))}")
        for each in left:
            if each.inputs["bucket"] == thing.id:
                self._file(each.type, each.id).unlink()
        file.unlink()
        self._note("delete", thing)

    def find(self, type_: str, id_: str) -> Thing:
        """The resource of a type with an id.

        Raises:
            RefusedError: there is none.
        """
        file = self._file(type_, id_)
        if not file.exists():
            raise RefusedError(f"{type_.split(':')[1]} {id_} does not exist")
        return Thing(**json.loads(file.read_text()))

    def things(self, kind: str = "") -> list[Thing]:
        """All resources, or those of a type (`kms/key`)."""
        found = []
        for file in sorted(self._things.glob("*.json")):
            with suppress(FileNotFoundError):  # it is being deleted: the engine does several things at a time
                found.append(Thing(**json.loads(file.read_text())))
        return [each for each in found if kind in ("", each.kind)]

    def journal(self) -> list[tuple[str, str, str]]:
        """What was done: operation, type without package, and id, in order."""
        lines = self._journal.read_text().splitlines() if self._journal.exists() else []
        return [tuple(json.loads(line)) for line in lines]

    def _write(self, operation: str, thing: Thing) -> None:
        file = self._file(thing.type, thing.id)
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(asdict(thing)))
        draft.replace(file)
        self._note(operation, thing)

    def _note(self, operation: str, thing: Thing) -> None:
        # One write to a file that is open for appending: several processes' lines don't mix.
        with self._journal.open("a") as journal:
            journal.write(json.dumps([operation, thing.kind, thing.id]) + "\n")

    def _file(self, type_: str, id_: str) -> Path:
        return self._things / f"{sha256(f'{type_} {id_}'.encode()).hexdigest()}.json"


_NAMED = {
    "cloudwatch/eventRule": ("rule",),
    "cloudwatch/metricAlarm": ("alarmName",),
    "ecr/repository": ("repository",),
    "iam/role": ("role",),
    "s3/bucket": ("bucket", "targetBucket", "s3BucketName"),
    "sagemaker/modelPackageGroup": ("modelPackageGroupName",),
}
"""Inputs in which others name a resource of a type, at any depth. SageMaker deletes models and configurations that are
in use; what follows from it, a test has to see."""

_RECORDS = ("sagemaker/endpointConfiguration", "sagemaker/model")
"""Records of how something would be hosted: what they name can be deleted, which only endpoints use."""

_OBJECTS = ("s3/bucketObject", "s3/bucketObjectv2")
"""What a bucket is emptied of, where it is deleted with `forceDestroy`."""


def _refers(other: Thing, thing: Thing) -> bool:
    """Whether a resource can't be without another: it names it, or has its ARN or id."""
    if (other.type, other.id) == (thing.type, thing.id) or other.kind in _RECORDS:
        return False
    arn = str(thing.outputs.get("arn") or "")
    # A name may be that of others too; what AWS generates (vpc-…), nobody else has.
    generated = FORMS.get(thing.kind, Form()).id == "own"
    own = {text for text in (arn, thing.id if generated else "") if text}
    named = _NAMED.get(thing.kind, ())
    return any(text in own or (key in named and text in (thing.id, arn)) for key, text in _texts(other.inputs, ""))


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every text in inputs, with the name of the field that it is in."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)
    elif isinstance(value, str):
        yield key, value
