"""`python -m tools.prometheus` makes promtool, and prints where it is."""

from __future__ import annotations

import sys

from tools.console import ToolError, say
from tools.prometheus import build


def main() -> int:
    """Returns the exit code."""
    try:
        print(build.ensure())
    except ToolError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
