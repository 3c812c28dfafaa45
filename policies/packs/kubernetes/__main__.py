"""Workloads, namespaces and KServe: `pulumi preview --policy-pack policies/packs/kubernetes`."""

from mlops_policies.analyzer import serve

serve("kubernetes")
