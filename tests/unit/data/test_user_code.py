from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from data_definitions import definition, source, write_code

from mlops_runtime import code, secrets
from mlops_runtime.errors import BadInputError


@pytest.fixture
def project(tmp_path: Path):
    write_code(
        tmp_path, "prep", "LIMIT = 3\n\n\ndef double(x):\n    return 2 * x\n\n\ndef broken(x):\n    return x['dep']\n"
    )
    return definition(tmp_path, {"a": source("a.csv")})


def test_a_function_is_loaded_and_called(project):
    assert code.call(project, "prep:double", 21, expects="test") == 42


def test_an_unknown_function_is_named_with_the_nearest(project):
    with pytest.raises(
        BadInputError, match=r"transform of a: module prep .* has no function doubel; did you mean double\?"
    ):
        code.load_function(project, "prep:doubel", expects="transform of a")


def test_an_unknown_module_is_named_with_the_folder(project):
    with pytest.raises(
        BadInputError, match=r"no module perp .* looked in .*code \(code.directory\); did you mean prep\?"
    ):
        code.load_function(project, "perp:double", expects="test")


def test_something_that_is_no_function_is_refused(project):
    with pytest.raises(BadInputError, match="prep:LIMIT is a int"):
        code.load_function(project, "prep:LIMIT", expects="test")


def test_a_failure_names_the_line_of_the_users_code(project, tmp_path):
    with pytest.raises(BadInputError) as raised:
        code.call(project, "prep:broken", {}, expects="transform of source a")
    assert str(raised.value) == (
        f"transform of source a: prep:broken failed at {tmp_path}/code/prep.py:9: KeyError: 'dep'"
    )


def test_a_syntax_error_names_its_line(project, tmp_path):
    write_code(tmp_path, "typo", "x = 1\ndef f(:\n")
    with pytest.raises(BadInputError, match=r"typo\.py:2: invalid syntax"):
        code.load_function(project, "typo:f", expects="test")


def test_an_import_that_fails_names_the_missing_package(project, tmp_path):
    write_code(tmp_path, "needs", "import not_there_at_all\n\ndef f(): ...\n")
    with pytest.raises(BadInputError, match=r"needs\.py:1: No module named 'not_there_at_all'; install the package"):
        code.load_function(project, "needs:f", expects="test")


def test_the_same_module_name_in_another_project_is_another_module(project, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_code(other, "prep", "def double(x):\n    return 'other'\n")
    elsewhere = definition(other, {"a": source("a.csv")})
    assert code.call(project, "prep:double", 1, expects="test") == 2
    assert code.call(elsewhere, "prep:double", 1, expects="test") == "other"
    assert code.call(project, "prep:double", 1, expects="test") == 2


def test_the_archive_depends_on_names_and_contents_only(project, tmp_path):
    first, digest = code.archive(project, tmp_path / "out1")
    (tmp_path / "code" / "prep.py").touch()
    (tmp_path / "code" / "prep.py").chmod(0o755)
    again, same = code.archive(project, tmp_path / "out2")
    assert digest == same
    assert first.read_bytes() == again.read_bytes()
    write_code(tmp_path, "prep", "def double(x):\n    return 3 * x\n")
    assert code.archive(project, tmp_path / "out3")[1] != digest


def test_the_archive_holds_what_is_included_and_no_caches(tmp_path):
    for name in ("a.py", "sub/b.py", "sub/c.sql", "notes.txt", ".hidden/d.py", "__pycache__/e.py", "venv/f.py"):
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "code" / "venv" / "pyvenv.cfg").write_text("")
    project = definition(tmp_path, {"a": source("a.csv")}, include=["**/*.py", "sub/*.sql"])
    path, _ = code.archive(project, tmp_path / "out")
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["a.py", "sub/b.py", "sub/c.sql"]


def test_all_unmet_requirements_are_named(tmp_path):
    wanted = ["polars>=1", "polars<0.1", "surely-not-installed>=2", "x >>> 1", "nothing; python_version < '3'"]
    project = definition(tmp_path, {"a": source("a.csv")}, requirements=wanted)
    with pytest.raises(BadInputError) as raised:
        code.check_requirements(project)
    message = str(raised.value)
    assert "polars<0.1: polars 2" in message or "polars<0.1: polars 1" in message
    assert "surely-not-installed>=2: surely-not-installed is not installed" in message
    assert "'x >>> 1' is not a requirement" in message
    assert "polars>=1:" not in message
    assert "nothing" not in message
    assert sys.prefix in message


def test_secrets_come_from_environment_and_files(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN_FOR_TEST", "s3cret")
    (tmp_path / "password").write_text("hunter2\n")
    assert secrets.resolve("env:TOKEN_FOR_TEST") == "s3cret"
    assert secrets.resolve(f"file:{tmp_path}/password") == "hunter2"


@pytest.mark.parametrize("reference", ["env:NOT_SET_ANYWHERE", "file:/not/there", "plain-secret"])
def test_a_missing_secret_is_an_error_that_quotes_no_value(reference):
    with pytest.raises(BadInputError) as raised:
        secrets.resolve(reference)
    assert "secret" in str(raised.value)


def test_a_secret_given_where_a_reference_belongs_is_not_quoted():
    with pytest.raises(BadInputError) as raised:
        secrets.resolve("postgres:topsecret")
    assert "topsecret" not in str(raised.value)


def test_a_pickle_of_the_users_class_needs_none_of_the_users_modules(tmp_path):
    write_code(tmp_path, "scales", "FACTOR = 3\n")
    write_code(
        tmp_path,
        "models",
        "from scales import FACTOR\n\n\nclass Tripled:\n    def predict(self, x):\n        return FACTOR * x\n\n\n"
        "def train():\n    return Tripled()\n",
    )
    project = definition(tmp_path, {"a": source("a.csv")})
    content = code.pickled(project, code.call(project, "models:train", expects="training"))
    elsewhere = "import cloudpickle, sys; print(cloudpickle.loads(sys.stdin.buffer.read()).predict(14))"
    done = subprocess.run([sys.executable, "-c", elsewhere], input=content, capture_output=True, check=True)
    assert done.stdout == b"42\n"
