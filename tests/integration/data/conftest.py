from __future__ import annotations

import sys
from pathlib import Path

# The makers of definitions are shared with the unit tests.
sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "data"))
