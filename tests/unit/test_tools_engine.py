"""Which engine is chosen, and that it is built once."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tools import engine
from tools.console import ToolError
from tools.engine import build, official

REPOSITORY = Path(__file__).resolve().parents[2]


def executable(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def pulumi(directory: Path, version: str = "3.230.1", language_host: bool = True) -> Path:
    if language_host:
        executable(directory / "pulumi-language-python", "exit 1")
    return executable(directory / "pulumi", f"echo v{version}")


# What `go build ... -o FILE PACKAGE` does, as far as the cache is concerned.
FAKE_GO = """
echo "$PWD $*" >> "$BUILDS"
sleep 0.3
while [ "$1" != "-o" ]; do shift; done
printf '#!/bin/sh\\necho built\\n' > "$2"; chmod +x "$2"
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing but a shell and an empty cache, on a network that reaches no installer."""

    def unreachable(*_: Any, **__: Any) -> Any:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    monkeypatch.setenv("PULUMI_MLOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PULUMI_MLOPS_ENGINE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'own'}:{tmp_path / 'tools'}:/usr/bin:/bin")
    return tmp_path


def test_official_cli_on_path_is_taken(machine: Path) -> None:
    pulumi(machine / "own")
    executable(machine / "tools" / "go", FAKE_GO)
    assert engine.ensure() == engine.Engine(machine / "own", built=False)
    assert not (machine / "builds").exists()


def test_official_cli_is_found_before_path_knows_it(machine: Path) -> None:
    pulumi(machine / "home" / ".pulumi" / "bin")
    assert engine.ensure() == engine.Engine(machine / "home/.pulumi/bin", built=False)


def test_build_is_taken_on_demand_although_there_is_a_cli(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulumi(machine / "own")
    executable(machine / "tools" / "go", FAKE_GO)
    monkeypatch.setenv("PULUMI_MLOPS_ENGINE", "build")
    chosen = engine.ensure()
    assert chosen.built
    assert (machine / "cache") in chosen.directory.parents


def test_too_old_cli_is_refused(machine: Path) -> None:
    pulumi(machine / "own", version="3.199.9")
    with pytest.raises(ToolError, match=r"own/pulumi is version 3\.199\.9, and at least 3\.200\.0 is needed"):
        engine.ensure()


def test_cli_without_language_host_is_left_aside(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pulumi(machine / "own", language_host=False)
    executable(machine / "tools" / "go", FAKE_GO)
    assert engine.ensure().built
    assert "comes without pulumi-language-python" in capsys.readouterr().err


def test_engine_of_the_cache_on_path_is_still_ours(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(machine / "tools" / "go", FAKE_GO)
    first = engine.ensure()
    monkeypatch.setenv("PATH", f"{first.directory}:{os.environ['PATH']}")
    assert engine.ensure() == first


def test_official_installer_comes_before_a_build(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = b"""
    while [ "$1" != --install-root ]; do shift; done
    mkdir -p "$2/bin" && touch "$2/bin/pulumi" "$2/bin/pulumi-language-python" && chmod +x "$2"/bin/*
    """

    class Answer:
        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def read(self) -> bytes:
            return script

    asked = []
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: asked.append(url) or Answer())
    assert engine.ensure() == engine.Engine(machine / "cache/engine/official-v3.259.0/bin", built=False)
    assert engine.ensure().directory == official.installed(machine / "cache/engine")
    assert asked == ["https://get.pulumi.com/install.sh"]


def test_stand_ins_lie_beside_the_engine(machine: Path) -> None:
    executable(machine / "tools" / "go", FAKE_GO)
    directory = engine.ensure().directory
    for name in ("pulumi", "pulumi-language-python", "pulumi-resource-pulumi-python"):
        assert os.access(directory / name, os.X_OK), name
    assert (directory.parent / "hosts" / "language.py").is_file()


def test_two_at_once_build_once(machine: Path) -> None:
    executable(machine / "tools" / "go", FAKE_GO)
    command = [sys.executable, "-m", "tools.make", "engine"]
    variables = os.environ | {"PULUMI_MLOPS_ENGINE": "build"}
    both = [
        subprocess.Popen(
            command, cwd=REPOSITORY, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=30) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert answers[0][0] == answers[1][0]
    assert len((machine / "builds").read_text().splitlines()) == 1
    assert sum("another process is building the engine" in errors for _, errors in answers) == 1


def test_failed_build_shows_why_and_leaves_nothing(machine: Path) -> None:
    executable(machine / "tools" / "go", "echo 'go: proxy says 403' >&2; exit 1")
    with pytest.raises(ToolError, match="go: proxy says 403"):
        engine.ensure()
    assert not build.built(machine / "cache" / "engine")
    assert list((machine / "cache/engine/v3.259.0/bin").iterdir()) == []


def test_nothing_at_all_is_one_clear_message(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolError, match=r"no Pulumi engine: none is on PATH.*there is no Go to build one"):
        engine.ensure()


def test_unknown_choice_is_refused(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_MLOPS_ENGINE", "docker")
    with pytest.raises(ToolError, match="PULUMI_MLOPS_ENGINE='docker'"):
        engine.ensure()
