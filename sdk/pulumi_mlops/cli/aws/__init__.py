"""The commands of `mlops` on a stack in an AWS account."""
