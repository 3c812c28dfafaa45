"""docs/errors.md has an entry for every code, and no other."""

import re
from pathlib import Path

from pulumi_mlops.spec.errors import CODES

DOC = Path(__file__).parents[3] / "docs" / "errors.md"


def test_every_code_has_its_entry() -> None:
    text = DOC.read_text(encoding="utf-8")
    entries = re.findall(r"^### (MLOPS-S\d{3}): (.+)\n(.*)", text, re.MULTILINE)
    assert {code: title for code, title, _ in entries} == CODES
    assert [code for code, _, _ in entries] == sorted(CODES)
    assert all(len(explanation) > 20 for _, _, explanation in entries)
