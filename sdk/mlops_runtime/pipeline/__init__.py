"""The pipeline: all steps in order, in a process of their own, within limits, resumable."""

from __future__ import annotations

from mlops_runtime.errors import BusyError
from mlops_runtime.pipeline.supervisor import STEPS, PipelineResult, run_pipeline

__all__ = ["STEPS", "BusyError", "PipelineResult", "run_pipeline"]
