"""JSON documents with Outputs in them say and carry what Pulumi's own would."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from pulumi_mlops.platforms.aws import documents
from pulumi_mlops.testing import Captured, capture

DUMPS = {"ours": documents.dumps, "pulumi": pulumi.Output.json_dumps}


class Thing(pulumi.CustomResource):
    arn: pulumi.Output[str]

    def __init__(self, name: str, **properties: Any) -> None:
        super().__init__("test:index:Thing", name, {**properties, "arn": None})


def made(which: str, *, preview: bool = False) -> Captured:
    """A resource whose property `document` is a document with Outputs of two others, one of them twice."""

    def program() -> None:
        key, subnet = Thing("key"), Thing("subnet")
        secret = pulumi.Output.secret("hidden") if which.endswith("secret") else "shown"
        ids = pulumi.Output.all(subnet.arn).apply(lambda found: [*found, {"x": 1}])
        document = {"key": key.arn, "list": [1, 2.5, None, True, key.arn, {"ids": ids}], "ü": secret, "none": ()}
        Thing("made", document=DUMPS[which.split()[0]](document))

    graph = capture(
        program, outputs=lambda resource: {} if preview else {"arn": f"arn:{resource.name}"}, preview=preview
    )
    return next(each for each in graph.resources if each.name == "made")


@pytest.mark.parametrize("preview", [False, True])
@pytest.mark.parametrize("kind", ["", " secret"])
def test_a_document_is_that_of_pulumi(kind: str, preview: bool) -> None:
    ours, theirs = (made(name + kind, preview=preview) for name in DUMPS)
    assert ours.wire == theirs.wire
    assert ours.property_dependencies == theirs.property_dependencies
    assert len(ours.depends_on) == 2


def test_every_value_is_in_its_place() -> None:
    assert json.loads(made("ours").inputs["document"]) == {
        "key": "arn:key",
        "list": [1, 2.5, None, True, "arn:key", {"ids": ["arn:subnet", {"x": 1}]}],
        "ü": "shown",
        "none": [],
    }


def test_what_json_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="no value of a JSON document: object"):
        documents.dumps({"x": object()})
