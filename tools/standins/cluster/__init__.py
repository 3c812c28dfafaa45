"""A stand-in for Pulumi's provider for Kubernetes that works on a real API server: `tools.kubernetes`' bed.

It does what the official one does with resources: server-side apply, replacement, adoption, waits, annotations; facts
about that one are from its documentation and source (pulumi/pulumi-kubernetes, 4.34). It differs where tests want more:
fields are validated strictly, and a preview is a dry run for every object, also where its namespace is new too.
Not there: Helm charts, Kustomize, files of YAML, rendering to YAML, client-side apply.
"""
