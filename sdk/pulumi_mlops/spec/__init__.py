"""The spec: one document that declares an MLOps stack, a module per section.

All sections are here by name, for specs and components written in Python: `spec.Identity(name=…, owner=…, purpose=…)`.
"""

from pulumi_mlops.spec.code import Code
from pulumi_mlops.spec.data import ColumnCheck, Data, DistributionCheck, Source, SourceChecks
from pulumi_mlops.spec.endpoints import BatchEndpoint, Capture, EdgeEndpoint, RestEndpoint
from pulumi_mlops.spec.errors import Problem, SpecError
from pulumi_mlops.spec.evaluation import Bootstrap, Champion, Evaluation, Segment
from pulumi_mlops.spec.features import Entity, Features, FeatureView
from pulumi_mlops.spec.governance import Budget, Exemption, Governance, Oversight, Retention
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.loader import load
from pulumi_mlops.spec.model import API_VERSION, Spec
from pulumi_mlops.spec.monitors import Alert, Drift, FeatureDrift, Monitor, Signals
from pulumi_mlops.spec.platform import Local, Logs, Platform, Tracking, TrackingUI
from pulumi_mlops.spec.registry import Card, Onnx, Registry
from pulumi_mlops.spec.retraining import NewData, Retraining, Triggers
from pulumi_mlops.spec.training import Compute, Parameter, Preprocessing, Split, Training, Tuning, Window

__all__ = [
    "API_VERSION",
    "Alert",
    "BatchEndpoint",
    "Bootstrap",
    "Budget",
    "Capture",
    "Card",
    "Champion",
    "Code",
    "ColumnCheck",
    "Compute",
    "Data",
    "DistributionCheck",
    "Drift",
    "EdgeEndpoint",
    "Entity",
    "Evaluation",
    "Exemption",
    "FeatureDrift",
    "FeatureView",
    "Features",
    "Governance",
    "Identity",
    "Local",
    "Logs",
    "Monitor",
    "NewData",
    "Onnx",
    "Oversight",
    "Parameter",
    "Platform",
    "Preprocessing",
    "Problem",
    "Registry",
    "RestEndpoint",
    "Retention",
    "Retraining",
    "Segment",
    "Signals",
    "Source",
    "SourceChecks",
    "Spec",
    "SpecError",
    "Split",
    "Tracking",
    "TrackingUI",
    "Training",
    "Triggers",
    "Tuning",
    "Window",
    "load",
]
