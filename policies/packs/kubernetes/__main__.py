"""Workloads, namespaces and KServe on Kubernetes."""

from mlops_policies.analyzer import serve

serve("kubernetes")
