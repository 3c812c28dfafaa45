"""`python -m mlops_runtime.child ARGUMENTS`: `mlops-runtime` that ends with the process that started it."""

from __future__ import annotations

from mlops_runtime.cli import main
from mlops_runtime.lifecycle import exit_with_parent

if __name__ == "__main__":
    exit_with_parent()
    main()
