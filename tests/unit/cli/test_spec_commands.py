"""validate, schema, migrate and the command line around them, as processes."""

import json
import os
import pty
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.unit.spec.alternatives import FULL

MLOPS = Path(sys.executable).with_name("mlops")


def mlops(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    # Compiled modules are kept, as they are where a user installed the package.
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "NO_COLOR", "FORCE_COLOR")}
    return subprocess.run(
        [MLOPS, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=inherited | environment, timeout=60
    )


def damaged(folder: Path) -> Path:
    file = folder / "mlops.yaml"
    file.write_text(FULL.read_text().replace("impute: mean", "impute: maen").replace("keep: 2}", "keep: 2.5}"))
    return file


def test_valid_spec_is_summarised() -> None:
    done = mlops("validate", FULL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{FULL} is valid\n")
    assert "delay (rest, port 8081), nightly (batch, 0 3 * * *), gate (edge)" in done.stdout
    assert "\x1b" not in done.stdout


def test_validate_looks_for_mlops_yaml(tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").write_text(FULL.read_text())
    assert mlops("validate", cwd=tmp_path).returncode == 0


def test_validate_in_an_environment() -> None:
    done = mlops("validate", FULL, "--environment", "prod")
    assert done.returncode == 0
    assert "in environment prod" in done.stdout
    assert "tuned in 100 trials" in done.stdout


def test_validate_as_json() -> None:
    done = mlops("validate", FULL, "--json")
    data = json.loads(done.stdout)
    assert (data["valid"], data["apiVersion"], data["declares"]["environments"]) == (True, "mlops/v1", "dev, prod")


def test_problems_go_to_standard_error_with_their_lines(tmp_path: Path) -> None:
    file = damaged(tmp_path)
    done = mlops("validate", file)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "The spec has 2 problems:"
    assert lines[1].startswith(f"{file}:19:33: MLOPS-S012 platform.local.logs.keep: ")
    assert lines[3].startswith(f"{file}:94:42: MLOPS-S013 training.preprocessing.impute: ")
    assert "Traceback" not in done.stderr


def test_problems_as_json(tmp_path: Path) -> None:
    done = mlops("validate", damaged(tmp_path), "--json")
    assert (done.returncode, done.stderr) == (1, "")
    data = json.loads(done.stdout)
    assert data["valid"] is False
    assert [(p["code"], p["field"], p["line"], p["column"]) for p in data["problems"]] == [
        ("MLOPS-S012", "platform.local.logs.keep", 19, 33),
        ("MLOPS-S013", "training.preprocessing.impute", 94, 42),
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["validte"], "Did you mean 'validate'?"),
        (["validate", "--enviroment", "x"], "--environment"),
        (["validate", "a", "b"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], told: str) -> None:
    done = mlops(*arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_version_and_help() -> None:
    assert mlops("--version").stdout == f"mlops {version('pulumi-mlops')}\n"
    told = mlops("--help").stdout
    for command in ("init", "validate", "schema", "migrate"):
        assert command in told
        done = mlops(command, "--help")
        assert (done.returncode, "Usage: mlops" in done.stdout) == (0, True)


def test_schema_is_printed_and_written(tmp_path: Path) -> None:
    printed = mlops("schema").stdout
    assert json.loads(printed)["$id"] == "urn:mlops:spec:v1"
    assert mlops("schema", "--output", tmp_path / "schema.json").returncode == 0
    assert (tmp_path / "schema.json").read_text() == printed


def test_schema_where_it_cannot_be_written(tmp_path: Path) -> None:
    done = mlops("schema", "--output", tmp_path / "no" / "schema.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "can't be written: no such file or directory" in done.stderr


def test_migrate_knows_the_current_version_alone(tmp_path: Path) -> None:
    assert mlops("migrate", FULL).stdout == f"{FULL} is at mlops/v1, the current version: nothing to do\n"
    data = json.loads(mlops("migrate", FULL, "--json").stdout)
    assert data == {"file": str(FULL), "apiVersion": "mlops/v1", "changed": False}
    file = tmp_path / "mlops.yaml"
    for text, line in (("# a\napiVersion: mlops/v9\n", ":2:13:"), ("identity: {}\n", ":1:1:")):
        file.write_text(text)
        done = mlops("migrate", file)
        assert done.returncode == 1
        assert f"{file}{line} MLOPS-S008" in done.stderr
        assert "mlops/v1, the only version so far" in done.stderr


def terminal(arguments: list[str | Path], **environment: str) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    inherited = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm-256color"}
    process = subprocess.Popen([MLOPS, *arguments], stdout=theirs, stderr=theirs, env=inherited | environment)
    os.close(theirs)
    output = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux's end of a pseudo-terminal
            part = b""
        if not part:
            break
        output += part
    os.close(ours)
    process.wait(timeout=30)
    return output.decode()


def test_colour_on_a_terminal_unless_no_color(tmp_path: Path) -> None:
    assert "\x1b[32m" in terminal(["validate", FULL])
    assert "\x1b[31mMLOPS-S012\x1b[0m" in terminal(["validate", damaged(tmp_path)])
    assert "\x1b" not in terminal(["validate", FULL], NO_COLOR="1")
    assert "\x1b" not in terminal(["validate", damaged(tmp_path)], NO_COLOR="1")


def test_validate_answers_within_its_limit() -> None:
    """0.4 s on a quiet machine; processor time, which waits for nothing, says the same on a busy one."""
    mlops("validate", FULL)  # compiles
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert mlops("validate", FULL).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.4, times


@pytest.mark.parametrize("command", [["validate", FULL], ["schema"], ["migrate", FULL], ["--version"]])
def test_heavy_libraries_are_not_loaded(command: list[str | Path]) -> None:
    heavy = "('pandas','polars','numpy','sklearn','mlflow','pulumi','duckdb','onnxruntime','sqlalchemy')"
    program = (
        "import sys, pulumi_mlops.cli as cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        f"loaded = [m for m in {heavy} if m in sys.modules]\n"
        "sys.stderr.write(repr(loaded))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, command)], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == "[]"
