"""Images can be built where only the wheel is installed: it holds what they are made of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder
from image_kit import REPOSITORY


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    """The build context that an installed wheel writes."""
    folder = tmp_path_factory.mktemp("wheel")
    (wheel,) = WheelBuilder(str(REPOSITORY)).build(directory=str(folder), versions=["standard"])
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    program = """
import sys
from pathlib import Path
import mlops_runtime
from pulumi_mlops.cli.builders import write_context
assert Path(mlops_runtime.__file__).is_relative_to(sys.argv[1]), mlops_runtime.__file__
write_context(Path(sys.argv[2]), ["lightgbm>=4.5"])
"""
    context = folder / "context"
    context.mkdir()
    subprocess.run(
        [sys.executable, "-c", program, str(folder / "installed"), str(context)],
        env={**os.environ, "PYTHONPATH": str(folder / "installed")},
        cwd=folder,
        check=True,
    )
    return context


def contents(folder, *names):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in names
        for path in [folder / name, *(folder / name).rglob("*")]
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_context_is_the_checkout_s_own_files(context):
    names = ("LICENSE", "README.md", "constraints.txt", "images", "pyproject.toml", "sdk/mlops_runtime")
    expected = {**contents(REPOSITORY, *names), "images/requirements.txt": b"lightgbm>=4.5\n"}
    assert contents(context, ".") == expected


def test_the_runtime_s_wheel_is_built_from_it(context, tmp_path):
    program = """
import sys
from pathlib import Path
sys.path.insert(0, "images")
import build
print(build.runtime_wheel(Path(sys.argv[1])))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=context, check=True, capture_output=True, text=True
    )
    with ZipFile(done.stdout.strip()) as archive:
        packages = {Path(name).parts[0] for name in archive.namelist()}
        (scripts,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert archive.read(scripts).decode().split() == [
            *("[console_scripts]", "mlops-runtime", "=", "mlops_runtime.__main__:main")
        ]
    assert {name for name in packages if not name.endswith(".dist-info")} == {"mlops_runtime"}
