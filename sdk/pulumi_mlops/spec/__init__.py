"""The spec: one document that declares an MLOps stack, a module per section."""

from pulumi_mlops.spec.errors import Problem, SpecError
from pulumi_mlops.spec.loader import load
from pulumi_mlops.spec.model import API_VERSION, Spec

__all__ = ["API_VERSION", "Problem", "Spec", "SpecError", "load"]
