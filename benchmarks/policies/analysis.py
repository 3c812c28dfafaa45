"""Time inside a policy server: from the bytes of what the engine asks to the bytes of the answer, without transport.

Runs in our environment (`ours`) and in that of the peer (`peer`), whose servicer is made as its `PolicyPack` makes it.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from pulumi.runtime.proto import analyzer_pb2

from benchmarks.policies.questions import QUESTIONS, TYPE, resources, urn

TURNS = 3


def servicer(side: str) -> Any:
    """A server that nobody has asked yet, with the fifty questions."""
    if side == "peer":
        from benchmarks.policies.peer_sdk.policies import servicer as made

        return made()
    import benchmarks.policies.rules  # noqa: F401 - its import registers them
    from mlops_policies.analyzer import Analyzer

    return Analyzer("security")


def configuration() -> analyzer_pb2.ConfigureAnalyzerRequest:
    """The levels as the engine resolves them: only the questions are asked."""
    request = analyzer_pb2.ConfigureAnalyzerRequest()
    request.policyConfig["all"].enforcementLevel = analyzer_pb2.DISABLED
    for question in QUESTIONS:
        request.policyConfig[question.name].enforcementLevel = analyzer_pb2.MANDATORY
    return request


def requests(count: int) -> tuple[list[bytes], bytes]:
    """What the engine asks: of each resource, and of the stack."""
    each, stack = [], analyzer_pb2.AnalyzeStackRequest()
    for name, props in resources(count).items():
        asked = analyzer_pb2.AnalyzeRequest(type=TYPE, urn=urn(name), name=name)
        asked.properties.update(props)
        each.append(asked.SerializeToString())
        stack.resources.add(type=TYPE, urn=urn(name), name=name).properties.update(props)
    return each, stack.SerializeToString()


def main(side: str, count: int) -> None:
    each, stack = requests(count)
    seconds = []
    for _ in range(TURNS):
        server, found = servicer(side), []
        server.Configure(configuration(), None)
        began = time.perf_counter()
        for asked in each:
            request = analyzer_pb2.AnalyzeRequest.FromString(asked)
            response = server.Analyze(request, None)
            response.SerializeToString()
            found += [(diagnostic.policyName, request.name) for diagnostic in response.diagnostics]
        server.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest.FromString(stack), None).SerializeToString()
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"seconds": min(seconds), "found": found}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
