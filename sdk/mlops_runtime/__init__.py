"""What does the work of an MLOps stack: the steps of the lifecycle, serving and monitoring. Never imports Pulumi."""
