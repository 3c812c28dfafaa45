"""What every benchmark needs: an environment for its peers, and results as JSON and figure.

A benchmark is a package of this one with `run(out: Path) -> dict[str, float]`: it writes its results below `out` and
returns its ratios (times better than the peer), which `python -m benchmarks NAME` prints as `ratio NAME VALUE`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
RESULTS = ROOT / "results"
CACHE = Path(os.environ.get("MLOPS_BENCH_CACHE", ROOT.parent / ".cache" / "benchmarks"))


class BenchmarkError(Exception):
    """The benchmark cannot be run here; the message says what it lacks."""


def environment() -> dict[str, str]:
    """The environment for measured processes: byte code is cached, as in any installed program."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def peer_python(name: str) -> Path:
    """Python of the peers' own environment, made from `benchmarks/<name>/requirements.txt` where it is not cached.

    Raises:
        BenchmarkError: the peers cannot be installed.
    """
    requirements = ROOT / name / "requirements.txt"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(f"{version}\n{requirements.read_text()}".encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    python = folder / "bin" / "python"
    if (folder / ".complete").exists():
        return python
    print(f"installing the peers of {name} (once) …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", *([] if not shutil.which("uv") else ["--without-pip"]), str(folder)])
    if shutil.which("uv"):
        _run(["uv", "pip", "install", "--quiet", "--python", str(python), "--requirement", str(requirements)])
    else:
        _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)])
    (folder / ".complete").touch()
    return python


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"{' '.join(command)} failed:\n{(done.stderr or done.stdout).strip()[-2000:]}")


def write_results(out: Path, name: str, results: dict[str, Any]) -> Path:
    """Write `<name>.json` with the machine and the time beside the results."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    document = {"benchmark": name, "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
    path.write_text(json.dumps({**document, **results}, indent=2) + "\n")
    return path


def machine() -> dict[str, Any]:
    """What the figures were measured on, without naming it, and how busy it was (processes, over a minute)."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":", 1)[1].strip() if lines else ""
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def figure(path: Path, panels: Sequence[tuple[str, dict[str, float]]]) -> None:
    """One bar chart per panel: its title and a value per bar, each written above its bar."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    drawing, axes = plt.subplots(1, len(panels), figsize=(3.2 * len(panels), 3.4), squeeze=False)
    for axis, (title, bars) in zip(axes[0], panels, strict=True):
        drawn = axis.bar(list(bars), list(bars.values()), color=["#3b6ea5", "#b8b8b8", "#d9d9d9"][: len(bars)])
        axis.bar_label(drawn, labels=[f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in bars.values()])
        axis.set_title(title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(y=0.15)
    drawing.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, dpi=120)
    plt.close(drawing)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows as aligned text; the first column to the left, the others to the right."""
    cells = [list(map(str, head)), *([str(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = []
    for row in cells:
        first, *others = (
            value.ljust(widths[0]) if at == 0 else value.rjust(widths[at]) for at, value in enumerate(row)
        )
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)
