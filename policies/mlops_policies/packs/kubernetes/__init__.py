"""Workloads, namespaces and KServe on Kubernetes."""

from mlops_policies.packs.kubernetes import access, mesh, namespaces, pod_security, workloads

__all__ = ["access", "mesh", "namespaces", "pod_security", "workloads"]
