"""The executables are built once, or what is missing is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import golang
from tools.console import ToolError
from tools.kubernetes import build, crds
from tools.kubernetes.bed import ROOT
from tools.prometheus import build as promtool

# What `go build -o DIRECTORY/ tool` and `go list` do, as far as the cache is concerned.
FAKE_GO = """
echo "${PWD##*/} $*" >> "$BUILDS"
if [ "$1" = list ]; then echo "$MODULE"; exit; fi
sleep 0.3
while [ "$1" != -o ]; do shift; done
case "$PWD" in
    */kwok) touch "$2/kwok" ;;
    *) touch "$2/server" "$2/kube-apiserver" "$2/kube-controller-manager" "$2/kube-scheduler" "$2/kubectl" ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no Go yet: `go` makes one."""
    for file in build.KWOK_FILES:
        source = tmp_path / "module" / "kustomize" / file
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"# {file}")
    monkeypatch.setenv("PULUMI_MLOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    monkeypatch.setenv("MODULE", str(tmp_path / "module"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'tools'}:/usr/bin:/bin")
    return tmp_path


def go(machine: Path, body: str) -> None:
    (machine / "tools").mkdir()
    (machine / "tools" / "go").write_text(f"#!/bin/sh\n{body}\n")
    (machine / "tools" / "go").chmod(0o755)


def test_two_at_once_build_once(machine: Path) -> None:
    go(machine, FAKE_GO)
    command = [sys.executable, "-m", "tools.kubernetes", "build"]
    both = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    answers = [process.communicate(timeout=30) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert answers[0][0] == answers[1][0] == f"{build.location() / 'bin'}\n"
    builds = (machine / "builds").read_text().splitlines()
    assert [line.split()[:2] for line in builds] == [["control_plane", "build"], ["kwok", "build"], ["kwok", "list"]]
    assert sum("another process is building" in errors for _, errors in answers) == 1
    assert sorted(file.name for file in (build.location() / "bin").iterdir()) == sorted(build.EXECUTABLES)
    assert len(list((build.location() / "kwok").iterdir())) == len(build.KWOK_FILES)


def test_the_api_server_says_the_pinned_version(machine: Path) -> None:
    go(machine, FAKE_GO)
    build.ensure()
    assert ".gitVersion=v1.36.1 -X k8s.io/component-base/version.gitMajor=1 " in (machine / "builds").read_text()


def test_failed_build_shows_why_and_leaves_nothing(machine: Path) -> None:
    go(machine, "echo 'go: proxy says 403' >&2; exit 1")
    with pytest.raises(ToolError, match="go: proxy says 403"):
        build.ensure()
    assert [file.name for file in build.location().parent.iterdir()] == ["lock"]


def test_no_go_is_one_clear_message(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(golang.NoGoError, match=r"there is no Go to build one: install Go 1\.26 or newer"):
        build.ensure()


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_without_go_tests_skip_and_in_ci_they_fail(
    machine: Path, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: str
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CI", ci)
    test = "tests/integration/kubernetes/test_bed.py::test_a_typo_in_a_pod_is_refused"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", test]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome in answer.stdout
    assert "there is no Go to build one" in answer.stdout


def test_other_pins_are_another_build(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = machine / "modules"
    for file in build.MODULES.glob("*/go.*"):
        (pins / file.parent.name).mkdir(parents=True, exist_ok=True)
        (pins / file.parent.name / file.name).write_bytes(file.read_bytes())
    before = build.location()
    monkeypatch.setattr(build, "MODULES", pins)
    assert build.location() == before
    (pins / "kwok" / "go.sum").write_text("another")
    assert build.location() != before


def test_go_is_asked_for_in_the_version_that_the_pins_need() -> None:
    needed = {
        next(line.split()[1] for line in file.read_text().splitlines() if line.startswith("go "))
        for file in (*build.MODULES.glob("*/go.mod"), promtool.MODULE / "go.mod")
    }
    assert needed == {f"{golang.GO}.0"}


def test_definitions_are_read_from_what_operators_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.yaml").write_text(
        "kind: Namespace\nmetadata: {name: x}\n---\n---\n"
        "kind: CustomResourceDefinition\nmetadata: {name: b.example}\nspec: {enum: [=, '!=']}\n"
    )
    (tmp_path / "a.jsonl").write_text('{"kind": "CustomResourceDefinition", "metadata": {"name": "a.example"}}\n')
    (tmp_path / "README.md").write_text("kind: CustomResourceDefinition")
    monkeypatch.setenv("MLOPS_CRDS", str(tmp_path))
    found = crds.read(crds.folder())
    assert [each["metadata"]["name"] for each in found] == ["a.example", "b.example"]
    assert found[1]["spec"]["enum"] == ["=", "!="]


def test_a_file_that_is_not_what_its_name_says_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: [")
    with pytest.raises(ToolError, match=r"a\.yaml: neither JSON nor YAML"):
        crds.read(tmp_path)


def test_a_folder_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_CRDS", "/nowhere")
    with pytest.raises(ToolError, match="MLOPS_CRDS='/nowhere': no such folder"):
        crds.folder()
