"""`pulumi preview` of stacks for Kubernetes, beside the same resources by hand; and how fast the test bed starts."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.common import figure, write_results
from benchmarks.preview.beside import measured
from tools.kubernetes import bed, crds

BED_SECONDS = 10.0


def run(out: Path) -> dict[str, float]:
    """Run the benchmark.

    Arguments:
        out: folder for `kubernetes.json` and `kubernetes.png`.

    Returns:
        Ratios by name: those of `Beside.ratios`, and `kubernetes-bed-start`: 10 s to the time that the test bed takes
        to start, warm.
    """
    previews = measured("kubernetes", Path(__file__).parent / "handwritten.py")
    start = _bed_start()
    previews.show()
    print(f"the bed starts in {start:.1f} s")
    write_results(out, "kubernetes", {**previews.document(), "bed_s": start})
    figure(out / "kubernetes.png", previews.panels())
    return {**previews.ratios(), "kubernetes-bed-start": BED_SECONDS / start}


def _bed_start() -> float:
    """Seconds until the test bed is ready, from definitions that were established before."""
    folder = crds.folder()
    for _ in range(2):  # the first start establishes the definitions
        began = time.perf_counter()
        with bed.running(folder):
            taken = time.perf_counter() - began
    return taken
