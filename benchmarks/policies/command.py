"""The command `mlops` as it is, which knows the benchmark's rules beside those of the packs."""

from benchmarks.policies import rules as registered  # noqa: F401 - its import registers them
from pulumi_mlops.cli import main

main()
