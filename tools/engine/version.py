"""Which engine."""

from __future__ import annotations

import re

# The version that is built or installed where there is none: the newest that the Go module proxy has whole.
VERSION = "3.259.0"
# The oldest that the SDK in constraints.txt and our resources work with.
MINIMUM = (3, 200, 0)


def parse(text: str) -> tuple[int, ...]:
    """The numbers of a version such as `v3.259.0-alpha.1`."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    if match is None:
        raise ValueError(f"not a version: {text!r}")
    return tuple(int(number) for number in match.groups())
