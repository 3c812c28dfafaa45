"""Whole stacks when things go wrong: nothing is half done, what serves goes on serving, and the next `up` converges.

Faults of data and requests are tested where they are found: `tests/unit/data` (missing file, wrong column, empty table,
all-null column, future timestamps, duplicate keys), `tests/unit/training` (one class only), `tests/unit/serving` and
`tests/integration/serving` (malformed, oversized, wrong dtype, NaN, unknown model, 1,000 clients, damaged bundles).
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops_runtime.services import Supervisor
from mlops_runtime.stores.control import Control
from mlops_runtime.stores.layout import Store
from tests.e2e.checkout import Checkout, checked_out, until
from tests.e2e.conftest import PROGRAM, PulumiProject
from tests.e2e.faults_kit import SERVICES, Background, Gated, Make, listens, living_in, metadata, role

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("faults")]


@pytest.fixture
def gated(project: Callable[[str], PulumiProject], tmp_path: Path) -> Iterator[Make]:
    """Makes gated stacks; the gates are open at the end, so that nothing waits at them."""
    made: list[Gated] = []

    def make(**settings: str) -> tuple[PulumiProject, Gated]:
        here = project("")
        made.append(Gated.write(here.folder, tmp_path / f"gate{len(made)}", **settings))
        return here, made[-1]

    yield make
    for each in made:
        each.release()
        Supervisor(Store(each.store)).stop()


def fill(file: Path) -> None:
    """Write a file until the disk is full."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as open_file:
        while open_file.write(bytes(1 << 16)) == 1 << 16:
            pass


def files_of(folder: Path) -> list[Path]:
    """Files and folders below a folder, what Python caches apart."""
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


def resources(project: PulumiProject) -> list[str]:
    """Types of the resources in the state, stack and components apart."""
    return [each["type"] for each in project.state() if each.get("custom") and "providers" not in each["type"]]


def test_preview_on_an_empty_machine_creates_nothing(gated: Make) -> None:
    project, stack = gated()
    before = files_of(project.folder)
    preview = project.pulumi("preview")
    assert "to create" in preview.text
    assert files_of(project.folder) == before
    assert stack.processes() == []
    assert resources(project) == []


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A folder in which nobody can make anything: root may write against permissions, and not on such a mount."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.geteuid() != 0:
        yield folder
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("customers.csv", "customers.csv is a file; platform.local.data_dir must name a folder"),
        ("customers.csv/store", "customers.csv is a file; platform.local.data_dir must name a folder"),
        ("code", "code is not empty and not a store"),
        ("number #2", "' #' can't be in the path of a data directory"),
        ("number[2]", "'[' can't be in the path of a data directory"),
        ("{locked}/store", "locked can't be written"),
    ],
)
def test_a_data_directory_that_can_not_be_written_is_refused(
    gated: Make, locked: Path, data: str, message: str
) -> None:
    project, stack = gated(data=data.format(locked=locked))
    for command in ("preview", "up --yes --skip-preview"):
        refused = project.pulumi(*command.split(), check=False)
        assert refused.code != 0
        assert message in refused.text
        assert "Traceback" not in refused.text
    assert resources(project) == []
    assert stack.processes() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system; min_free_disk is tested without one")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_stops_the_run_and_not_the_server(gated: Make, small_disk: Path) -> None:
    project, stack = gated(data=str(small_disk / "store"))
    project.up()
    assert stack.version() == 1
    state = resources(project)

    filler = small_disk / "filler"
    fill(filler)
    stack.new_data(seed=2)
    full = project.up(check=False)
    assert full.code != 0
    assert "Traceback" not in full.text
    assert "platform.local.min_free_disk: 1.0Mi asked for" in full.text
    assert stack.version() == 1
    assert resources(project) == state

    # Nothing is kept free: the disk runs full in the middle of writing.
    os.truncate(filler, filler.stat().st_size - (40 << 10))
    stack.declare(data=str(small_disk / "store"), reserve="1")
    full = project.up(check=False)
    assert full.code != 0
    assert "No space left on device" in full.text
    assert "Traceback" not in full.text
    assert stack.version() == 1

    filler.unlink()
    project.up()
    until(lambda: stack.version() == 2, "the new version")
    project.destroy()


def test_too_little_free_disk_is_refused_before_anything_is_changed(gated: Make) -> None:
    project, stack = gated(reserve="900Ti")
    refused = project.up(check=False)
    assert refused.code != 0
    assert "platform.local.min_free_disk: 900.0Ti asked for" in refused.text
    assert "Traceback" not in refused.text
    assert resources(project) == []
    assert not stack.store.exists()


def test_a_damaged_bundle_is_refused_and_the_last_good_version_serves(gated: Make) -> None:
    project, stack = gated()
    project.up()
    stack.new_data(seed=2)
    project.up()
    until(lambda: stack.version() == 2, "the new version")

    (model,) = (stack.store / "bundles/churn/2").glob("model.*")
    content = model.read_bytes()
    model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    server = next(process for process in stack.processes() if role(process) == "server")
    server.kill()
    until(lambda: stack.version() == 1, "the last good version")
    refused = metadata(stack)["refused"]
    assert refused["version"] == 2
    assert "has digest" in refused["reason"]

    restored = model.with_suffix(".restored")
    restored.write_bytes(content)
    restored.replace(model)
    until(lambda: stack.version() == 2, "the mended version")
    project.destroy()


def test_faults_during_the_pipeline(gated: Make) -> None:
    project, stack = gated()
    stack.hold()

    first = Background(project)
    stack.wait_until_held()
    second = project.up(check=False)
    assert second.code != 0
    assert f"(pid {first.process.pid})" in second.text
    assert "pulumi cancel" in second.text

    worker = next(process for process in stack.processes() if role(process) == "worker")
    worker.kill()
    assert first.wait() != 0
    assert "train: the process of the steps ended with signal 9" in first.text
    assert "Traceback" not in first.text
    assert stack.roles() == SERVICES
    status, answer = stack.predict()
    assert (status, "no model yet" in answer["error"]) == (503, True)

    stack.hold()
    third = Background(project)
    stack.wait_until_held()
    assert "pipeline: going on with" in third.text
    assert "ingest: already done" in third.text
    third.interrupt()
    assert third.wait() != 0
    assert "goes on from the last finished step" in third.text
    assert "Traceback" not in third.text
    assert stack.roles() == SERVICES
    assert not list(project.backend.glob("**/locks/**/*.json"))

    stack.release()
    last = project.up()
    assert "pipeline: going on with" in last.text
    assert "featurize: already done" in last.text
    assert len(list((stack.store / "runs/churn").glob("*/run.json"))) == 1, "one run, gone on with twice"
    assert stack.version() == 1
    assert stack.roles() == SERVICES
    project.destroy()
    assert stack.processes() == []


def test_a_killed_provider_leaves_no_pipeline_behind(gated: Make) -> None:
    project, stack = gated()
    stack.hold()
    up = Background(project)
    stack.wait_until_held()
    next(process for process in stack.processes() if role(process) == "provider").kill()
    assert up.wait() != 0
    until(lambda: stack.roles() == SERVICES, "the pipeline to end")
    stack.release()
    project.pulumi("refresh", "--clear-pending-creates", "--yes", "--skip-preview")
    project.up()
    assert stack.version() == 1
    project.destroy()
    assert stack.processes() == []


def test_destroy_stops_a_scheduled_run(gated: Make) -> None:
    project, stack = gated()
    project.up()
    stack.hold()
    stack.new_data(seed=2)
    Control(Store(stack.store).control_db).enqueue("churn", "manual", "ada")
    stack.wait_until_held()
    assert "worker" in stack.roles()
    project.destroy()
    assert stack.processes() == []
    assert not listens(stack.port)
    stack.release()
    project.up()
    until(lambda: stack.version() == 2, "the version of the run that was gone on with")
    project.destroy()


def test_two_stacks_in_awkward_folders_side_by_side(gated: Make) -> None:
    one, first = gated(data="100% sure (of it)/50%s")
    two, second = gated(data="/".join(["a-very-long-name-of-a-folder"] * 6))
    one.up()
    two.up()
    socket = Supervisor(Store(second.store)).socket
    assert socket.exists()
    assert second.store not in socket.parents, "the path is too long for a socket"
    assert (first.version(), second.version()) == (1, 1)
    assert set(one.up().changes) == {"unchanged"}
    assert set(two.up().changes) == {"unchanged"}
    one.destroy()
    assert first.processes() == []
    assert not listens(first.port)
    assert second.version() == 1
    assert second.roles() == SERVICES
    two.destroy()
    assert second.processes() == []
    assert not listens(second.port)
    assert not socket.parent.exists()


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[tuple[Checkout, Gated]]:
    """A gated stack in a checkout of its own, for `make`."""
    root = tmp_path / "check out"
    with checked_out(Checkout, root, "stacks/churn") as made:
        ours = Path(sys.executable).parent
        for command in ("mlops", "pulumi-resource-mlops-local"):
            (root / ".venv/bin" / command).symlink_to(ours / command)
        provider = "plugins:\n  providers:\n    - name: mlops-local\n      path: ../../.venv/bin"
        (made.project / "Pulumi.yaml").write_text(f"name: churn\nruntime: python\n{provider}\n")
        (made.project / "__main__.py").write_text(PROGRAM + 'pulumi.export("data_dir", str(stack.platform.data_dir))\n')
        stack = Gated.write(made.project, tmp_path / "gate")
        yield made, stack
        stack.release()
        for process in stack.processes():
            process.kill()


@pytest.mark.slow
def test_up_killed_at_any_point_leaves_no_process_and_make_converges(checkout: tuple[Checkout, Gated]) -> None:
    here, stack = checkout
    draw = random.Random(20261121)
    registered = stack.store / "runs/churn"
    points: list[tuple[Callable[[], object], float]] = [
        (lambda: any((stack.store / "services/programs").glob("*.ini")), 0.0),  # while services start
        (here.locks, draw.uniform(0.0, 2.0)),
        (here.locks, draw.uniform(2.0, 6.0)),
        (stack.gate.joinpath("started").exists, 0.0),  # in the middle of training
        (lambda: len(list(registered.glob("*/register"))) == 5, draw.uniform(0.0, 0.5)),
    ]
    for attempt, (point, pause) in enumerate(points, start=1):
        stack.new_data(seed=attempt)
        if attempt < len(points):
            stack.hold()
        serving = stack.version()
        up = here.start("up")
        until(lambda point=point: bool(point()), "the point to kill at", 60)
        time.sleep(pause)
        os.kill(here.holder(), signal.SIGKILL)
        assert up.wait(30) != 0
        until(lambda: set(stack.roles()) <= set(SERVICES), "the processes of the engine to end")
        # What served goes on, but where the last kill came after the new version was deployed.
        assert stack.version() in ({serving} if attempt < len(points) else {serving, attempt})
        if attempt == 1:
            refused = here.pulumi("up", "--yes", "--skip-preview", "--non-interactive", check=False)
            assert "pulumi cancel" in refused
        stack.release()
        code, output = here.make("up")
        assert code == 0, output
        assert "removing its lock" in output
        assert "Traceback" not in output
        assert stack.roles() == SERVICES
        assert here.locks() == []
        assert stack.version() == attempt

    code, output = here.make("up")
    assert code == 0, output
    assert "nothing changed" in output

    code, output = here.make("down")
    assert code == 0, output
    assert living_in(here.root) == []
    assert not listens(stack.port)
    assert here.locks() == []
    assert (stack.store / "bundles/churn/5/manifest.json").exists()
    assert "kept the data" in output

    assert here.make("up")[0] == 0
    assert stack.version() == 5
    assert here.make("down")[0] == 0
    code, output = here.make("down", PURGE="1")
    assert code == 0, output
    assert f"deleted {stack.store}" in output
    assert not stack.store.exists()
    assert living_in(here.root) == []
