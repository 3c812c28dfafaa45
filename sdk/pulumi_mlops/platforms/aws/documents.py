"""JSON documents with Outputs in them: policies, definitions of pipelines and state machines."""

from __future__ import annotations

import json
from typing import Any

import pulumi


def dumps(document: Any) -> pulumi.Output[str]:
    """The JSON of a document, once its Outputs are known.

    As `pulumi.Output.json_dumps`, which makes an Output of every value in the document, though, and not only of those
    that are: that took half the time of a preview.

    Arguments:
        document: plain data, with Outputs of plain data as values.

    Raises:
        TypeError: there is something else in it.
    """
    outputs: dict[int, pulumi.Output[Any]] = {}

    def collect(value: Any) -> None:
        if not isinstance(value, pulumi.Output):
            raise TypeError(f"no value of a JSON document: {type(value).__name__}")
        outputs[id(value)] = value

    text = json.dumps(document, default=collect)
    if not outputs:
        return pulumi.Output.from_input(text)

    def known(values: list[Any]) -> str:
        found = dict(zip(outputs, values, strict=True))
        return json.dumps(document, default=lambda value: found[id(value)])

    return pulumi.Output.all(*outputs.values()).apply(known)
