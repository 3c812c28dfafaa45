"""`python -m mlops_runtime.scheduling.child ARGUMENTS`: the command `mlops-runtime`, which ends with the scheduler."""

from __future__ import annotations

from mlops_runtime.cli import main
from mlops_runtime.lifecycle import exit_with_parent

if __name__ == "__main__":
    exit_with_parent()
    main()
