"""`python -m mlops_runtime`, the same as the command `mlops-runtime`."""

from mlops_runtime.cli import main

main()
