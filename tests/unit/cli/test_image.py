"""`mlops image`, with stand-ins for the builders that write down what they are asked."""

from __future__ import annotations

import json
import shlex
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pulumi_mlops.cli import main

BASE = f"registry.example.com/python@sha256:{'a' * 64}"
TAG = "registry.example.com:5000/team/it:1"
DIGEST = f"sha256:{'b' * 64}"
REPOSITORY = Path(__file__).resolve().parents[3]

SPEC = """
apiVersion: mlops/v1
identity: {name: delay, owner: olga, purpose: Tells late flights.}
platform: {local: {data_dir: store}}
data:
  sources:
    flights: {uri: flights.parquet, key: [id], columns: {x: {dtype: float}}}
training:
  task: binary
  source: flights
  label: late
  inputs: [x]
  estimator: sklearn.linear_model.LogisticRegression
evaluation: {floors: {roc_auc: 0.6}}
"""

BUILDER = f"""#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$1 $2" in
    "build "*) echo "the builder speaks"; cp -r . "$CALLS.context"; exit "${{BUILD_EXIT:-0}}" ;;
    "push --digestfile") echo "{DIGEST}" > "$3" ;;
    "image inspect") echo '["other.example.com/it@sha256:0", "registry.example.com:5000/team/it@{DIGEST}"]' ;;
esac
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def mlops(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `mlops image build` with all builders on PATH; gives exit code, standard output, standard error."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("docker", "podman", "buildah"):
        (folder / name).write_text(BUILDER)
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(["image", "build", *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capfd.readouterr()

    return run


def calls(folder: Path) -> list[list[str]]:
    file = folder / "calls"
    return [shlex.split(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_an_image_is_built_of_what_is_installed(tmp_path: Path, mlops: Run) -> None:
    code, out, err = mlops("serving", "--base", BASE, "--tag", TAG)

    lines = [f"  platform.{kind}.images.serving: {TAG}" for kind in ("kubernetes", "aws")]
    assert (code, out.splitlines()) == (0, [f"Built {TAG}", *lines])
    assert err == "the builder speaks\n"
    (command,) = calls(tmp_path)
    assert command[:6] == ["docker", "build", "--file", "images/Containerfile", "--target", "serving"]
    assert command[-3:] == ["--tag", TAG, "."]
    assert f"BASE={BASE}" in command
    context = tmp_path / "calls.context"
    assert {path.name for path in context.iterdir()} == {
        *("LICENSE", "README.md", "constraints.txt", "images", "pyproject.toml", "sdk")
    }
    runtime = REPOSITORY / "sdk" / "mlops_runtime"
    assert sorted(path.relative_to(context / "sdk/mlops_runtime") for path in context.glob("sdk/*/**/*.py")) == sorted(
        path.relative_to(runtime) for path in runtime.rglob("*.py")
    )
    assert not list(context.rglob("__pycache__"))
    assert (context / "images" / "requirements.txt").read_text() == ""


def test_every_file_that_the_container_file_copies_is_in_the_context(tmp_path: Path, mlops: Run) -> None:
    mlops("job", "--base", BASE, "--tag", TAG)

    copies = [
        source
        for line in (REPOSITORY / "images/Containerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert copies
    for source in copies:
        assert (tmp_path / "calls.context" / source).exists(), source


@pytest.mark.parametrize("builder", ["docker", "podman", "buildah"])
def test_a_pushed_image_is_named_by_its_digest(tmp_path: Path, mlops: Run, builder: str) -> None:
    code, out, _ = mlops("job", "--base", BASE, "--tag", TAG, "--push", "--builder", builder, "--json")

    facts = json.loads(out)
    assert code == 0
    assert facts["reference"] == f"registry.example.com:5000/team/it@{DIGEST}"
    assert (facts["digest"], facts["builder"], facts["built"]) == (DIGEST, builder, True)
    assert [call[:2] for call in calls(tmp_path)][:2] == [[builder, "build"], [builder, "push"]]


def test_code_s_requirements_come_from_the_specs(tmp_path: Path, mlops: Run) -> None:
    for name, requirement in (("a", "lightgbm>=4.5"), ("b", "holidays")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mlops.yaml").write_text(f"{SPEC}code: {{requirements: ['{requirement}']}}\n")

    code, _, err = mlops(
        "serving-sklearn", "--base", BASE, "--tag", TAG, "--spec", "a/mlops.yaml", "--spec", "b/mlops.yaml"
    )

    assert code == 0, err
    assert (tmp_path / "calls.context/images/requirements.txt").read_text() == "holidays\nlightgbm>=4.5\n"


def test_ray_and_the_platform_reach_the_builder(tmp_path: Path, mlops: Run) -> None:
    mlops("job", "--base", BASE, "--tag", TAG, "--ray", "--platform", "linux/arm64")
    assert "JOB_EXTRAS=job-kubernetes ray --platform linux/arm64" in (tmp_path / "calls").read_text()


def test_jobs_of_sagemaker_have_its_packages_and_a_field_of_their_own(tmp_path: Path, mlops: Run) -> None:
    code, out, _ = mlops("job-sagemaker", "--base", BASE, "--tag", TAG)
    assert code == 0
    assert f"  platform.aws.images.job: {TAG}\n" in out
    call = (tmp_path / "calls").read_text()
    assert "--target job-sagemaker " in call
    assert "JOB_EXTRAS=job-aws " in call


def test_a_dry_run_runs_nothing_and_says_what_it_would(tmp_path: Path, mlops: Run) -> None:
    code, out, err = mlops("serving", "--base", BASE, "--tag", TAG, "--dry-run", "--push", "--builder", "podman")

    assert (code, err, calls(tmp_path)) == (0, "", [])
    build, push = out.splitlines()
    assert build.startswith("podman build --file images/Containerfile --target serving --build-arg BASE=")
    assert push == f"podman push {TAG}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serving", "--base", "registry.example.com/python:3.12", "--tag", TAG], "has no digest"),
        (["serving", "--base", BASE, "--tag", f"{TAG}@{DIGEST}"], "is not a tag for an image"),
        (["serving", "--base", BASE, "--tag", TAG, "--ray"], "--ray has no effect on the image serving"),
        (["serving", "--base", BASE, "--tag", TAG, "--spec", "x"], "--spec has no effect on the image serving"),
    ],
)
def test_what_can_t_be_built_is_refused_before(tmp_path: Path, mlops: Run, arguments: list[str], message: str) -> None:
    code, out, err = mlops(*arguments)
    assert (code, out, calls(tmp_path)) == (2, "", [])
    assert message in err
    assert len(err.splitlines()) == 2  # what is wrong, and how to mend it


def test_without_a_builder_it_says_which_would_do(mlops: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    code, _, err = mlops("serving", "--base", BASE, "--tag", TAG)
    assert code == 1
    assert err.startswith("no builder of images on PATH: looked for docker, podman, buildah\n")


def test_a_builder_that_fails_ends_the_command(mlops: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILD_EXIT", "17")
    code, out, err = mlops("serving", "--base", BASE, "--tag", TAG, "--push")
    assert (code, out) == (1, "")
    assert "docker build failed (exit code 17)" in err
