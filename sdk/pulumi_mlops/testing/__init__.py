"""Test kit for programs that use `pulumi_mlops`: what they declare, without an engine."""

from __future__ import annotations

from pulumi_mlops.testing.graph import Captured, Graph, capture, local_outputs
from pulumi_mlops.testing.pipeline import pipeline_definition

__all__ = ["Captured", "Graph", "capture", "local_outputs", "pipeline_definition"]
