"""Workloads, namespaces and KServe on Kubernetes."""
