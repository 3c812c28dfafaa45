"""`pulumi preview` of stacks for AWS, beside the same resources by hand; and how fast `mlops preflight` answers.

The account that preflight asks is moto's, served beside it over HTTP; see `account`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.aws.account import IMAGES
from benchmarks.common import BenchmarkError, environment, figure, write_results
from benchmarks.preview.beside import measured

PREFLIGHT_SECONDS = 10.0
TURNS = 5
QUICKSTART = Path(__file__).parents[2] / "stacks/quickstart/mlops.yaml"


def run(out: Path) -> dict[str, float]:
    """Run the benchmark.

    Arguments:
        out: folder for `aws.json` and `aws.png`.

    Returns:
        Ratios by name: those of `Beside.ratios`, and `aws-preflight`: 10 s to the time that `mlops preflight` of the
        quickstart takes, the start of its process included.
    """
    asked = preflight()
    print(f"mlops preflight takes {asked:.1f} s")
    previews = measured("aws", Path(__file__).parent / "handwritten.py")
    previews.show()
    write_results(out, "aws", {**previews.document(), "preflight_s": asked})
    figure(out / "aws.png", previews.panels())
    return {**previews.ratios(), "aws-preflight": PREFLIGHT_SECONDS / asked}


def preflight() -> float:
    """Seconds of `mlops preflight` on an account that can take the quickstart: the fastest of the turns.

    Raises:
        BenchmarkError: the account can't take it.
    """
    command = [str(Path(sys.executable).with_name("mlops")), "preflight", "--environment", "aws", "--json"]
    with _account() as address, tempfile.TemporaryDirectory(prefix="bench-aws-") as folder:
        spec = Path(folder) / "mlops.yaml"
        spec.write_text(_with_images(QUICKSTART.read_text()))
        taken = []
        for _ in range(TURNS + 1):  # the first turn compiles and fills caches
            began = time.perf_counter()
            done = subprocess.run(
                [*command, str(spec)], env=_credentials(address), capture_output=True, text=True, check=False
            )
            taken.append(time.perf_counter() - began)
            _check(done)
    return min(taken[1:])


def _check(done: subprocess.CompletedProcess[str]) -> None:
    """All checks were made, and passed: an account that refuses to answer would be a fast one."""
    try:
        bad = [each for each in json.loads(done.stdout)["checks"] if each["status"] == "fail"]
    except ValueError:
        raise BenchmarkError(f"mlops preflight fails:\n{(done.stderr or done.stdout)[-2000:]}") from None
    if bad or done.returncode != 0:
        raise BenchmarkError(f"mlops preflight fails:\n{json.dumps(bad, indent=2)[:2000]}")


def _with_images(text: str) -> str:
    """The quickstart with the images of the account, and its code where it is."""
    pinned = r"(amazonaws\.com/)([a-z/-]+)@sha256:[0-9a-f]{64}"
    text = re.sub(pinned, lambda found: f"{found[1]}{found[2]}:{IMAGES[found[2]]}", text)
    code = QUICKSTART.parent / "../../examples/flights"
    return text.replace("../../examples/flights", str(code.resolve()))


@contextmanager
def _account() -> Iterator[str]:
    """Address of an account that is there meanwhile."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.aws.account"],
        cwd=QUICKSTART.parents[2],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise BenchmarkError("the account does not start: python -m benchmarks.aws.account says why")
        yield address
    finally:
        process.terminate()
        process.wait()


def _credentials(address: str) -> dict[str, str]:
    own = {name: value for name, value in environment().items() if not name.startswith("AWS_")}
    made_up = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_EC2_METADATA_DISABLED": "true"}
    return {**own, **made_up, "AWS_ENDPOINT_URL": address, "AWS_CONFIG_FILE": os.devnull}
