"""The engine, its Python hosts and the `make` entry points, on a small project in a checkout of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.checkout import Checkout, checked_out, processes_of, until

pytestmark = pytest.mark.engine

PROJECT = "name: toy\nruntime: python\n"
# In a module, so that it is pickled by reference and may change without changing the state.
PROVIDER = '''
import time
from pathlib import Path
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult


class Note(ResourceProvider):
    """A file; making it lasts as long as there is a file `hold` beside it."""

    def create(self, props):
        path = Path(props["path"])
        print("writing the note", flush=True)
        path.with_name("started").touch()
        while path.with_name("hold").exists():
            time.sleep(0.02)
        if props["content"] == "unlucky":
            raise RuntimeError("no ink")
        path.write_text(props["content"])
        return CreateResult(str(path), props)

    def read(self, id_, props):
        return ReadResult(id_, {**props, "content": Path(id_).read_text()})

    def diff(self, id_, olds, news):
        return DiffResult(changes=olds["content"] != news["content"])

    def update(self, id_, olds, news):
        Path(id_).write_text(news["content"])
        return UpdateResult(news)

    def delete(self, id_, props):
        Path(id_).unlink()


class NoteResource(Resource, module="toy", name="Note"):
    def __init__(self, name, path, content, opts=None):
        super().__init__(Note(), name, {"path": path, "content": content}, opts)
'''
PROGRAM = """
import os
from pathlib import Path
import pulumi
from notes import NoteResource

config = pulumi.Config()
data = Path(os.environ["TOY_DATA"])
NoteResource("note", str(data / "note.txt"), config.get("content") or "first")
pulumi.export("url", f"file://{data}/note.txt")
pulumi.export("data_dir", str(data))
pulumi.export("secret_length", len(config.get("secret") or ""))
"""
COMPONENT = """
from typing import TypedDict
import pulumi
from pulumi.provider.experimental import component_provider_host

class ThingArgs(TypedDict):
    size: pulumi.Input[int]

class Thing(pulumi.ComponentResource):
    def __init__(self, name: str, args: ThingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("toy:index:Thing", name, {}, opts)

component_provider_host(name="toy", components=[Thing])
"""


class Toy(Checkout):
    """A checkout whose project writes a note."""

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def note(self) -> Path:
        return self.data / "note.txt"

    def interrupt_while_writing(self) -> tuple[subprocess.Popen[str], int]:
        """Starts an `up` that stays in the middle of a create; returns it, and its engine's pid."""
        self.data.joinpath("hold").touch()
        process = self.start("up")
        until(lambda: self.data.joinpath("started").exists(), "the create to start")
        return process, self.holder()


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Toy]:
    root = tmp_path / "check out"  # a space, as in many a home directory
    with checked_out(Toy, root, "stacks/toy", TOY_DATA=str(root / "data")) as made:
        made.data.mkdir()
        (made.project / "Pulumi.yaml").write_text(PROJECT)
        (made.project / "notes.py").write_text(PROVIDER)
        (made.project / "__main__.py").write_text(PROGRAM)
        yield made
        made.data.joinpath("hold").unlink(missing_ok=True)
    until(lambda: not processes_of(root), f"the processes to end: {processes_of(root)}", 10)


def test_up_twice_changes_nothing_and_down_leaves_nothing(checkout: Toy) -> None:
    settings = checkout.project / "Pulumi.dev.yaml"
    settings.write_text("config:\n  toy:content: hello\n")

    code, output = checkout.make("up")
    assert code == 0, output
    assert checkout.note.read_text() == "hello"
    assert f"url: file://{checkout.note}" in output
    assert "nothing changed" not in output
    assert "from $PATH" not in output, "the engine warns of language hosts that do not belong to it"

    started = time.monotonic()
    code, output = checkout.make("up")
    assert code == 0, output
    assert "nothing changed" in output
    assert time.monotonic() - started < 15

    code, output = checkout.make("down")
    assert code == 0, output
    assert not checkout.note.exists()
    assert checkout.locks() == []
    assert settings.read_text() == "config:\n  toy:content: hello\n"
    assert checkout.data.is_dir(), "data stays unless it is purged"
    assert checkout.make("down")[0] == 0


def test_drift_is_mended(checkout: Toy) -> None:
    assert checkout.make("up")[0] == 0
    checkout.note.write_text("scribbled over")
    code, output = checkout.make("up")
    assert code == 0, output
    assert checkout.note.read_text() == "first"
    assert "nothing changed" not in output


def test_state_is_stable_when_the_providers_code_changes(checkout: Toy) -> None:
    assert checkout.make("up")[0] == 0
    module = checkout.project / "notes.py"
    module.write_text(module.read_text().replace("writing the note", "putting the note down"))
    code, output = checkout.make("up")
    assert code == 0, output
    assert "nothing changed" in output


def test_plain_pulumi_works_with_the_exported_variables(checkout: Toy) -> None:
    assert checkout.make("up")[0] == 0
    checkout.pulumi("config", "set", "--secret", "secret", "hush")
    checkout.pulumi("up", "--yes", "--skip-preview")
    assert json.loads(checkout.pulumi("stack", "output", "--json"))["secret_length"] == 4
    assert "hush" not in (checkout.project / "Pulumi.dev.yaml").read_text()
    assert "hush" not in checkout.pulumi("stack", "export")


def test_failing_program_is_shown_from_the_users_first_line(checkout: Toy) -> None:
    program = checkout.project / "__main__.py"
    program.write_text(PROGRAM + "\nundefined_name\n")
    code, output = checkout.make("up")
    assert code != 0
    assert "Program failed with an unhandled exception" in output
    assert "NameError: name 'undefined_name' is not defined" in output
    assert f'File "{program}", line {len(PROGRAM.splitlines()) + 2}' in output
    assert "runpy" not in output
    assert "tools/engine" not in output


def test_failing_provider_fails_up(checkout: Toy) -> None:
    (checkout.project / "Pulumi.dev.yaml").write_text("config:\n  toy:content: unlucky\n")
    code, output = checkout.make("up")
    assert code != 0
    assert "RuntimeError: no ink" in output
    assert "`pulumi up` failed" in output


def test_sample_prediction_that_fails_fails_up(checkout: Toy) -> None:
    (checkout.project / "mlops.yaml").write_text("")
    mlops = checkout.root / ".venv" / "bin" / "mlops"
    mlops.write_text('#!/bin/sh\necho "called: $*"; [ "$ANSWER" = yes ]\n')
    mlops.chmod(0o755)
    code, output = checkout.make("up")
    assert code != 0
    assert f"called: predict --sample --wait 10 --spec {checkout.project / 'mlops.yaml'}" in output
    assert "`mlops predict --sample --wait 10` failed" in output
    checkout.variables["ANSWER"] = "yes"
    assert checkout.make("up")[0] == 0


def test_component_package_is_run_by_the_language_host(checkout: Toy) -> None:
    package = checkout.root / "package"
    package.mkdir()
    (package / "PulumiPlugin.yaml").write_text("runtime: python\n")
    (package / "__main__.py").write_text(COMPONENT)
    schema = json.loads(checkout.pulumi("package", "get-schema", str(package)))
    assert schema["resources"]["toy:index:Thing"]["requiredInputs"] == ["size"]


def test_missing_virtual_environment_is_named(checkout: Toy) -> None:
    (checkout.project / "Pulumi.yaml").write_text(
        "name: toy\nruntime:\n  name: python\n  options: {virtualenv: nowhere}\n"
    )
    code, output = checkout.make("up")
    assert code != 0
    assert "nowhere" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("after", ["up", "down"])
def test_killed_up_leaves_no_process_and_make_goes_on(checkout: Toy, after: str) -> None:
    process, engine = checkout.interrupt_while_writing()
    os.kill(engine, signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode != 0
    until(lambda: not processes_of(checkout.root), "the hosts to end", 5)
    assert checkout.locks(), "the lock of a killed engine stays"
    checkout.data.joinpath("hold").unlink()

    code, output = checkout.make(after)
    assert code == 0, output
    assert "removing its lock" in output
    assert checkout.locks() == []
    if after == "up":
        assert checkout.note.read_text() == "first"
        assert "pending_operations" not in checkout.pulumi("stack", "export")
        assert "nothing changed" in checkout.make("up")[1]
    else:
        assert json.loads(checkout.pulumi("stack", "ls", "--json")) == []


def test_second_up_is_refused_while_the_first_runs(checkout: Toy) -> None:
    process, engine = checkout.interrupt_while_writing()
    code, output = checkout.make("up")
    assert code != 0
    assert f"is being changed by another `pulumi` (pid {engine}" in output
    assert "Traceback" not in output
    checkout.data.joinpath("hold").unlink()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert checkout.note.read_text() == "first"


def test_interrupt_finishes_the_step_and_releases_the_lock(checkout: Toy) -> None:
    process, _ = checkout.interrupt_while_writing()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C: make, its tools and the engine all get it
    assert process.stdout is not None
    before = ""
    while "cancelling" not in before:
        line = process.stdout.readline()
        assert line, f"ended without an answer to the interrupt: {before}"
        before += line
    checkout.data.joinpath("hold").unlink()
    output = before + process.communicate(timeout=60)[0]
    until(lambda: not processes_of(checkout.root), "the engine to end")
    assert process.returncode != 0
    assert "update canceled" in output
    assert "Traceback" not in output
    assert checkout.locks() == []
    assert checkout.note.read_text() == "first"
    assert "pending_operations" not in checkout.pulumi("stack", "export")
    assert checkout.make("up")[0] == 0


def test_purge_deletes_only_a_store(checkout: Toy) -> None:
    assert checkout.make("up")[0] == 0
    code, output = checkout.make("down", PURGE="1")
    assert code != 0
    assert "has no .mlops-store in it" in output
    assert checkout.note.exists(), "nothing may have been changed"

    checkout.data.joinpath(".mlops-store").write_text("{}")
    code, output = checkout.make("down", PURGE="1")
    assert code == 0, output
    assert not checkout.data.exists()
