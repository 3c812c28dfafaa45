"""Everything that mlops.yaml declares, on this machine."""

import pulumi

import pulumi_mlops as mlops

spec = mlops.load("mlops.yaml")
stack = mlops.MLStack(spec.identity.name, spec)

pulumi.export("url", stack.url)
pulumi.export("endpoints", stack.endpoints)
pulumi.export("status", stack.status)
pulumi.export("version", stack.version)
pulumi.export("data_dir", str(spec.resolve(spec.platform.local.data_dir)))
