"""Declare a complete MLOps stack in one short spec and bring it up with Pulumi."""
