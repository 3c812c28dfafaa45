"""Locks of dead engines, the passphrase, a stack's settings, and the stamp of the environment."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tools import environment, locks, settings, stack
from tools.console import ToolError
from tools.engine import Engine
from tools.settings import Target


def lock(backend: Path, pid: int, host: str | None = None, project: str = "toy") -> Path:
    file = backend / "locks" / "organization" / project / "dev" / "1.json"
    file.parent.mkdir(parents=True)
    file.with_name("1.json.attrs").write_text("{}")
    content = {
        "pid": pid,
        "username": "me",
        "hostname": host or socket.gethostname(),
        "timestamp": "2026-01-02T03:04:05Z",
    }
    file.write_text(json.dumps(content))
    return file


def ended_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_lock_of_a_dead_engine_is_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pid = ended_pid()
    file = lock(tmp_path, pid)
    assert locks.clear_dead(tmp_path, "toy", "dev")
    assert list(file.parent.iterdir()) == []
    assert f"pid {pid}, since 2026-01-02T03:04:05Z" in capsys.readouterr().err


def test_lock_whose_pid_is_another_programs_by_now_is_removed(tmp_path: Path) -> None:
    file = lock(tmp_path, os.getpid())
    assert locks.clear_dead(tmp_path, "toy", "dev")
    assert not file.exists()


def test_lock_of_a_living_engine_is_kept(tmp_path: Path) -> None:
    engine = tmp_path / "pulumi"
    engine.symlink_to("/bin/sleep")
    with subprocess.Popen([engine, "60"]) as process:
        file = lock(tmp_path, process.pid)
        with pytest.raises(ToolError, match=rf"another `pulumi` \(pid {process.pid}, since 2026-01-02T03:04:05Z\)"):
            locks.clear_dead(tmp_path, "toy", "dev")
        process.kill()
    assert file.exists()


def test_lock_of_another_machine_is_kept(tmp_path: Path) -> None:
    file = lock(tmp_path, ended_pid(), host="elsewhere.example")
    with pytest.raises(ToolError, match=r"on elsewhere\.example.*pulumi cancel --stack dev"):
        locks.clear_dead(tmp_path, "toy", "dev")
    assert file.exists()


def test_lock_of_another_project_does_not_matter(tmp_path: Path) -> None:
    file = lock(tmp_path, ended_pid(), project="other")
    assert not locks.clear_dead(tmp_path, "toy", "dev")
    assert file.exists()


@pytest.fixture
def target(tmp_path: Path) -> Target:
    project = tmp_path / "stacks" / "toy"
    project.mkdir(parents=True)
    (project / "Pulumi.yaml").write_text("description: a toy\nname: 'toy'\nruntime: python\n")
    return Target.of(tmp_path, "stacks/toy", "dev")


@pytest.fixture
def no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.PASSPHRASES:
        monkeypatch.delenv(name, raising=False)


def test_target_knows_its_project(target: Target, tmp_path: Path) -> None:
    assert (target.project, target.settings_file) == ("toy", tmp_path / "stacks/toy/Pulumi.dev.yaml")
    with pytest.raises(ToolError, match="STACK_DIR=nowhere: no Pulumi project there"):
        Target.of(tmp_path, "nowhere", "dev")


@pytest.mark.usefixtures("no_passphrase")
def test_passphrase_is_made_once_and_private(target: Target, tmp_path: Path) -> None:
    engine = Engine(tmp_path, built=True)
    file = Path(settings.engine_environment(target, engine)["PULUMI_CONFIG_PASSPHRASE_FILE"])
    content = file.read_text()
    assert len(content) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    settings.engine_environment(target, engine)
    assert file.read_text() == content
    assert sorted(path.name for path in file.parent.iterdir()) == [".passphrase"]


@pytest.mark.usefixtures("no_passphrase")
def test_lost_passphrase_is_not_replaced_while_there_is_state(target: Target, tmp_path: Path) -> None:
    state = target.backend / "stacks" / "toy" / "dev.json"
    state.parent.mkdir(parents=True)
    state.write_text("{}")
    with pytest.raises(ToolError, match="A new one could not read the state"):
        settings.engine_environment(target, Engine(tmp_path, built=True))


def test_own_passphrase_is_respected(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in settings.engine_environment(target, Engine(tmp_path, built=False))
    assert not (target.backend / ".passphrase").exists()


@pytest.mark.usefixtures("no_passphrase")
def test_only_a_built_engine_is_kept_from_downloading(target: Target, tmp_path: Path) -> None:
    variable = "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"
    assert settings.engine_environment(target, Engine(tmp_path, built=True))[variable] == "true"
    assert variable not in settings.engine_environment(target, Engine(tmp_path, built=False))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("encryptionsalt: v1:abc=\n", None),
        ("encryptionsalt: v1:abc=\nconfig:\n  toy:a: b\n", "config:\n  toy:a: b\n"),
        ("config:\n  toy:a: b\n", "config:\n  toy:a: b\n"),
        ("encryptionsalt: v1:abc=\nconfig:\n  toy:a:\n    secure: x\n",) * 2,
    ],
)
def test_salt_goes_unless_secrets_need_it(tmp_path: Path, before: str, after: str | None) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(before)
    stack.forget_salt(file)
    assert (file.read_text() if file.exists() else None) == after


def test_environment_is_current_until_an_input_changes(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text("a\n")
    python = environment.python_of(tmp_path)
    python.parent.mkdir(parents=True)
    python.touch()
    environment.stamp(tmp_path, "run")
    assert environment.is_current(tmp_path, "run")
    assert not environment.is_current(tmp_path, "dev"), "development needs more than a run"
    environment.stamp(tmp_path, "dev")
    assert environment.is_current(tmp_path, "run")
    (tmp_path / "constraints.txt").write_text("b\n")
    assert not environment.is_current(tmp_path, "dev")
    environment.stamp(tmp_path, "dev")
    python.unlink()
    assert not environment.is_current(tmp_path, "run"), "a stamp without an interpreter says nothing"
