"""`mlops preflight` where a platform's packages are not installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pulumi_mlops.cli.app import main

QUICKSTART = Path(__file__).parents[3] / "stacks" / "quickstart" / "mlops.yaml"


@pytest.fixture
def no_cluster_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("pulumi_mlops.platforms.kubernetes")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("kubernetes", "pulumi_kubernetes"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("no_cluster_packages")
def test_this_machine_is_checked_without_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["preflight", str(QUICKSTART), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["platform"] == "local"
    assert ended.value.code == (0 if told["ready"] else 1)


@pytest.mark.usefixtures("no_cluster_packages")
def test_a_cluster_needs_them_and_the_command_that_installs_them_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["preflight", str(QUICKSTART), "-e", "kubernetes"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.endswith("pip install 'pulumi-mlops[kubernetes]'\n"), said
    assert "Traceback" not in said
