"""Test kit for programs that use `pulumi_mlops`: what they declare, without an engine.

Names are imported when they are first used: the `mlops` command takes only the capturing of programs from here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulumi_mlops.testing.graph import Captured, Graph, aws_outputs, capture, local_outputs
    from pulumi_mlops.testing.pipeline import pipeline_definition

__all__ = ["Captured", "Graph", "aws_outputs", "capture", "local_outputs", "pipeline_definition"]

_HOMES = {"pipeline_definition": "pipeline"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'graph')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
