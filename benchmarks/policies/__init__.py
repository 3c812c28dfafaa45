"""Judging 1,000 resources by 50 rules, beside checkov and Pulumi's own policy SDK; all our packs over a usual stack.

The same resources and questions for all (`questions.py`), each side in the form that it reads: a Pulumi state, a
CloudFormation template (which checkov reads faster than a Terraform plan of the same), the engine's requests. Before a
ratio is given, all sides must have found the same. Each side runs in processes of its own, its fastest turn counts.

- `policies-core`: in process, start-up excluded, from the file to findings, against checkov's runner.
  `policies-judging` is the judging alone, when both have read their file; checkov then has its graph already.
- `policies-command`: `mlops check --state` from start to end, against the command `checkov`, which downloads nothing.
- `policies-bundle`: inside the policy server, from the engine's requests as bytes to the answers as bytes, against the
  same questions as 50 policies of Pulumi's SDK; `Analyze` of each resource, and `AnalyzeStack`.
- `policies-pack-overhead`: a preview with our pack to one with a pack that does nothing; more is worse.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, BenchmarkError, environment, figure, peer_python, table, write_results
from benchmarks.policies.engine import previews
from benchmarks.policies.questions import QUESTIONS, cloudformation, resources, state

COUNT = 1000
TURNS = 3
HERE = Path(__file__).parent
Found = set[tuple[str, str]]


def run(out: Path) -> dict[str, float]:
    """Run the benchmark.

    Arguments:
        out: folder for `policies.json` and `policies.png`.

    Returns:
        Ratios by name; see the module.

    Raises:
        BenchmarkError: a peer or the engine can't be had, or the findings differ.
    """
    checkov, sdk = peer_python("policies/peer_checkov"), peer_python("policies/peer_sdk")
    with tempfile.TemporaryDirectory(prefix="bench-policies-") as name:
        folder = Path(name)
        files = _files(folder)
        core = {
            "ours": _module(sys.executable, "core", files["state"]),
            "checkov": _module(checkov, "peer_checkov.rate", files["template"]),
        }
        bundle = {
            "ours": _module(sys.executable, "analysis", "ours", COUNT),
            "50 policies": _module(sdk, "analysis", "peer", COUNT),
        }
        command, found = _commands(folder, files, checkov)
        expected = {tuple(pair) for pair in core["ours"]["found"]}
        found |= {f"{name} in process": _pairs(side) for name, side in core.items()}
        found |= {f"{name} as a server": _pairs(side) for name, side in bundle.items()}
        if wrong := [name for name, pairs in found.items() if pairs != expected]:
            raise BenchmarkError(f"not all find the same: {', '.join(wrong)} differ from ours in process")
        pack = HERE / "packs"
        preview = previews(
            folder,
            COUNT,
            {
                "no-op": [f"--policy-pack={pack / 'nothing'}"],
                "ours": [f"--policy-pack={pack / 'questions'}", f"--policy-pack-config={files['levels']}"],
            },
            found=len(expected),
        )
    typical = _typical()
    seconds = {
        "core": {name: side["whole"] for name, side in core.items()},
        "judging": {name: side["judging"] for name, side in core.items()},
        "command": command,
        "bundle": {name: side["seconds"] for name, side in bundle.items()},
        "preview": {name: preview[name] for name in ("ours", "no-op")},
    }
    ratios = {
        "policies-core": seconds["core"]["checkov"] / seconds["core"]["ours"],
        "policies-judging": seconds["judging"]["checkov"] / seconds["judging"]["ours"],
        "policies-command": command["checkov"] / command["ours"],
        "policies-bundle": seconds["bundle"]["50 policies"] / seconds["bundle"]["ours"],
        "policies-pack-overhead": preview["ours"] / preview["no-op"],
    }
    sizes = {"resources": COUNT, "rules": len(QUESTIONS), "findings": len(expected)}
    write_results(out, "policies", {**sizes, "seconds": seconds, "typical": typical, "ratios": ratios})
    figure(out / "policies.png", [(f"{part}, s", bars) for part, bars in seconds.items()])
    rows = [[part, *(f"{name} {value:.2f}" for name, value in bars.items())] for part, bars in seconds.items()]
    print(table(["seconds", "", ""], rows))
    evaluations = {name: round(side["evaluations"] / side["judging"]) for name, side in core.items()}
    print(f"judged a second: {evaluations}; all found the same {len(expected)}")
    cpu = f"{typical['cpu_seconds']:.2f} s of CPU"
    print(f"typical stack: {typical['rules']} rules over {typical['resources']} resources, {cpu}")
    print(f"policies-typical-seconds {typical['seconds']:.2f}")
    return ratios


def _files(folder: Path) -> dict[str, Path]:
    """The state, the template, and the levels by which only the questions are asked."""
    inputs = resources(COUNT)
    documents = {
        "state": state(inputs),
        "template": cloudformation(inputs),
        "levels": {"all": "disabled", **{question.name: "advisory" for question in QUESTIONS}},
    }
    files = {name: folder / f"{name}.json" for name in documents}
    for name, document in documents.items():
        files[name].write_text(json.dumps(document, indent=1))
    return files


def _commands(folder: Path, files: dict[str, Path], checkov: Path) -> tuple[dict[str, float], dict[str, Found]]:
    """Seconds of the two commands, and what they find."""
    report = folder / "report.json"
    ours = [
        *(sys.executable, "-m", "benchmarks.policies.command", "check", "--state", files["state"]),
        *("--policy-config", files["levels"], "--format", "json", "--output", report),
    ]
    theirs = [
        *(checkov.with_name("checkov"), "--file", files["template"], "--framework", "cloudformation"),
        *("--external-checks-dir", HERE / "peer_checkov" / "checks", "--check", "BENCH_*", "--skip-download"),
        *("--quiet", "--compact", "--soft-fail", "--output", "json"),
    ]
    seconds: dict[str, float] = {}
    found: dict[str, Found] = {}
    for _ in range(TURNS):
        for name, command in (("ours", ours), ("checkov", theirs)):
            began = time.perf_counter()
            text = _output(command)
            taken = time.perf_counter() - began
            seconds[name] = min(taken, seconds.get(name, taken))
            if name == "ours":
                findings = json.loads(report.read_text())["findings"]
                found["our command"] = {(each["rule"], each["resource"]) for each in findings}
            else:
                failed = json.loads(text)["results"]["failed_checks"]
                pairs = ((each["check_id"].removeprefix("BENCH_"), each["resource"].split(".")[1]) for each in failed)
                found["the command checkov"] = set(pairs)
    return seconds, found


def _typical() -> dict[str, Any]:
    """All packs over a program with the classes of the providers' SDKs, from start to end."""
    command = [Path(sys.executable).with_name("mlops"), "check", HERE / "typical", "--json"]
    seconds, cpu = [], []
    for _ in range(TURNS + 1):  # the first turn compiles
        began, worked = time.perf_counter(), _cpu_of_children()
        text = _output(command, codes=(0, 1))
        seconds.append(time.perf_counter() - began)
        cpu.append(_cpu_of_children() - worked)
    return {**json.loads(text)["counts"], "seconds": min(seconds[1:]), "cpu_seconds": min(cpu[1:])}


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _pairs(side: dict[str, Any]) -> Found:
    return {(rule, resource) for rule, resource in side["found"]}


def _module(python: str | Path, name: str, *arguments: object) -> dict[str, Any]:
    """What a module of this package prints in an environment."""
    return dict(json.loads(_output([python, "-m", f"benchmarks.policies.{name}", *arguments]).splitlines()[-1]))


def _output(command: Sequence[object], codes: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT.parent,
        env={**environment(), "PYTHONPATH": str(ROOT.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in codes:
        raise BenchmarkError(f"{' '.join(map(str, command))} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout
