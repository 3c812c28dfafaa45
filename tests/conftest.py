"""Fixtures of every kind of test. The Kubernetes bed is here, or a session would start one for each folder."""

from tests.kubernetes_kit import bed, custom_resources, manifests, namespace, restricted

__all__ = ["bed", "custom_resources", "manifests", "namespace", "restricted"]
