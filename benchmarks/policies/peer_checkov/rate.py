"""Checkov in process, without its start-up: from the template to findings, and of that the checks alone."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from checkov.cloudformation.runner import Runner
from checkov.runner_filter import RunnerFilter

TURNS = 2
CHECKS = Path(__file__).parent / "checks"


class Timed(Runner):
    judging = 0.0

    def check_definitions(self, *arguments: Any) -> None:
        began = time.perf_counter()
        super().check_definitions(*arguments)
        self.judging = time.perf_counter() - began


def main(file: Path) -> None:
    # One pattern, which costs it less than a list of fifty names.
    wanted = RunnerFilter(framework=["cloudformation"], checks=["BENCH_*"])
    whole, judging = [], []
    for _ in range(TURNS):
        runner = Timed()
        began = time.perf_counter()
        report = runner.run(None, [str(CHECKS)], [str(file)], wanted)
        whole.append(time.perf_counter() - began)
        judging.append(runner.judging)
    found = [(check.check_id.removeprefix("BENCH_"), check.resource.split(".")[1]) for check in report.failed_checks]
    evaluations = len(report.passed_checks) + len(report.failed_checks)
    print(json.dumps({"whole": min(whole), "judging": min(judging), "evaluations": evaluations, "found": found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
