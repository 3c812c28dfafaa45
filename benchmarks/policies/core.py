"""Our side in process, without its start-up: from the state to findings, and of that the judging alone."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.policies.rules import RULES
from mlops_policies import Judge, Settings
from mlops_policies.sources import state

TURNS = 5


def main(file: Path) -> None:
    whole, judging = [], []
    for _ in range(TURNS):
        began = time.perf_counter()
        stack = state.read(file)
        read = time.perf_counter()
        judgement = Judge(RULES, Settings()).judgement(stack)
        ended = time.perf_counter()
        whole.append(ended - began)
        judging.append(ended - read)
    found = [(result.rule.id, result.about) for result in judgement.findings]
    evaluations = len(judgement.rules) * judgement.resources
    print(json.dumps({"whole": min(whole), "judging": min(judging), "evaluations": evaluations, "found": found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
