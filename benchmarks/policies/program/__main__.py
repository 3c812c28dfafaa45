"""The resources, as fast as a program can register them: without the classes of a provider's SDK."""

import os

import pulumi

from benchmarks.policies.questions import TYPE, resources

for name, props in resources(int(os.environ["BENCH_RESOURCES"])).items():
    pulumi.CustomResource(TYPE, name, props)
