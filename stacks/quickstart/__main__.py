"""The quickstart: everything that mlops.yaml declares, on this machine or in a cluster (`pulumi config set environment
kubernetes`)."""

import pulumi

import pulumi_mlops as mlops

spec = mlops.load("mlops.yaml", environment=pulumi.Config().get("environment"))
stack = mlops.MLStack(spec.identity.name, spec)

pulumi.export("url", stack.url)
pulumi.export("endpoints", stack.endpoints)
pulumi.export("status", stack.status)
pulumi.export("version", stack.version)
pulumi.export("tracking_uri", stack.tracking_uri)
pulumi.export("store", stack.store_uri)
if spec.platform.kind == "local":
    pulumi.export("data_dir", str(spec.resolve(spec.platform.local.data_dir)))
