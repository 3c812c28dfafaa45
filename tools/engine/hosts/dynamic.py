"""Hosts the project's dynamic resource providers: `pulumi.dynamic` from the SDK, ending with its engine."""

import os
import runpy
import sys

from parent_watch import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    # As `python -m` would: modules of the project import, those beside this file do not.
    sys.path[0] = os.getcwd()  # noqa: PTH109
    runpy.run_module("pulumi.dynamic", run_name="__main__", alter_sys=True)
