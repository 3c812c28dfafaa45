"""Texts that others chose, made fit to be shown."""

from __future__ import annotations

import re
from typing import Final

_INVISIBLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def visible(text: str) -> str:
    """A text without the control characters that XML and HTML forbid, and that terminals obey: `�` stands for each."""
    return _INVISIBLE.sub("\ufffd", text)
