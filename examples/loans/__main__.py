"""Everything that mlops.yaml declares, in the account of a stage: that of development, unless
`pulumi config set environment prod` names another."""

import pulumi

import pulumi_mlops as mlops

spec = mlops.load("mlops.yaml", environment=pulumi.Config().get("environment"))
stack = mlops.MLStack(spec.identity.name, spec)

pulumi.export("url", stack.url)
pulumi.export("endpoints", stack.endpoints)
pulumi.export("tracking_uri", stack.tracking_uri)
pulumi.export("store", stack.store_uri)
