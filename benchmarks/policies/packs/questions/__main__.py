"""The pack `security` with the benchmark's rules beside its own."""

from benchmarks.policies import rules as registered  # noqa: F401 - its import registers them
from mlops_policies.analyzer import serve

serve("security")
