"""Logs of a stack on AWS: CloudWatch Logs of the last run's jobs, of monitors' jobs, endpoints and deployments."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from pulumi_mlops.cli.aws.executions import executions, steps
from pulumi_mlops.cli.aws.remote import Remote
from pulumi_mlops.cli.output import ExitCode, Failure, print_json, print_text
from pulumi_mlops.platforms.aws import endpoint_names
from pulumi_mlops.platforms.aws.clients import found, talking
from pulumi_mlops.spec.endpoints import BatchEndpoint

PIPELINE: Final = "pipeline"
_POLL_SECONDS: Final = 2.0

_OVERLAP: Final = 10_000
"""Milliseconds that are asked for again: events come late, and out of order."""

_NEWEST: Final = 20
"""Streams that are looked at, the newest first."""


@dataclass(frozen=True)
class Source:
    """Where log lines come from.

    Arguments:
        group: log group.
        stream: beginning of the names of the streams; every stream where it is empty.
        label: what is written before each line; nothing where it is empty.
    """

    group: str
    stream: str = ""
    label: str = ""


@dataclass(frozen=True)
class Line:
    """A log line.

    Arguments:
        at: milliseconds since 1970.
        text: the line.
    """

    at: int
    text: str


def logs(remote: Remote, *, service: str | None, follow: bool, lines: int, as_json: bool, **_: Any) -> None:
    """See `mlops logs`.

    Raises:
        Failure: there is no such log.
        AwsError: AWS refuses, or can't be reached.
    """
    if as_json and follow:
        raise Failure("--follow prints lines without end, and --json one document", code=ExitCode.USAGE)
    known = _known(remote)
    if service is None:
        if as_json:
            print_json({name: [source.group + f"/{source.stream}" for source in ask()] for name, ask in known.items()})
        else:
            print_text("\n".join(known))
        return
    if service not in known:
        raise Failure(f"there is no log of {service}", hint=f"Logs: {', '.join(known)}.")
    sources = known[service]()
    if not sources:
        raise Failure(f"{service} has written nothing yet", hint="`mlops runs` lists the runs.")
    last = tail(remote, sources, lines)
    if as_json:
        print_json({"log": [vars(source) for source in sources], "lines": [line.text for line in last]})
        return
    for line in last:
        print_text(line.text)
    if follow:
        for line in followed(remote, known[service], last):
            print_text(line.text)


def tail(remote: Remote, sources: list[Source], lines: int) -> list[Line]:
    """The last lines of some sources, in order of time."""
    read = [line for source in sources for line in _last(remote, source, lines)] if lines else []
    return sorted(read, key=lambda line: line.at)[-lines:] if lines else []


def followed(
    remote: Remote,
    sources: Callable[[], list[Source]],
    told: list[Line],
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Line]:
    """What is written from now on; ends never.

    Arguments:
        remote: the stack.
        sources: gives the sources, which change with each run.
        told: lines that were told already.
        pause: waits for some seconds.
    """
    since = told[-1].at if told else _now()
    seen = {(line.at, line.text) for line in told}
    while True:
        fresh = [
            line
            for source in sources()
            for line in _since(remote, source, since - _OVERLAP)
            if (line.at, line.text) not in seen and line.at >= since - _OVERLAP
        ]
        for line in sorted(fresh, key=lambda line: line.at):
            seen.add((line.at, line.text))
            since = max(since, line.at)
            yield line
        seen = {(at, text) for at, text in seen if at >= since - _OVERLAP}
        pause(_POLL_SECONDS)


def _known(remote: Remote) -> dict[str, Callable[[], list[Source]]]:
    """Logs by name, each found when it is asked for."""
    names, model = remote.names, remote.model
    made: dict[str, Callable[[], list[Source]]] = {PIPELINE: partial(_jobs, remote, remote.pipeline)}
    for endpoint in remote.rest:
        group = endpoint_names.log_group(names, model, endpoint.name)
        machine = f"/aws/vendedlogs/states/{endpoint_names.deployment(names, model, endpoint.name)}"
        made[endpoint.name] = partial(_group, group)
        made[f"deploy-{endpoint.name}"] = partial(_group, machine)
    others: dict[str, tuple[str, ...]] = {"follow-up": endpoint_names.follow_up(model)}
    for each in remote.spec.endpoints:
        if isinstance(each, BatchEndpoint):
            others[f"score-{each.name}"] = endpoint_names.scoring(model, each.name)
    for monitor in remote.spec.monitors:
        others[f"monitor-{monitor.name}"] = (model, "monitor", monitor.name)
    for name, called in others.items():
        made[name] = partial(_jobs, remote, names.called(*called))
    return made


def _group(group: str) -> list[Source]:
    return [Source(group)]


def _jobs(remote: Remote, pipeline: str) -> list[Source]:
    """The jobs of a pipeline's last execution."""
    last = executions(remote, 1, pipeline)
    made = steps(remote, last[0].arn) if last else []
    jobs = [step.job for step in made if step.job is not None]
    return [Source(job.group, f"{job.name}/", job.step if len(jobs) > 1 else "") for job in jobs]


def _last(remote: Remote, source: Source, lines: int) -> list[Line]:
    client, made = remote.clients("logs"), []
    for stream in _streams(remote, source):
        with talking(f"log {source.group}"):
            events = client.get_log_events(
                logGroupName=source.group, logStreamName=stream, limit=min(lines, 10_000), startFromHead=False
            )["events"]
        made += [_line(source, event) for event in events]
    return made


def _since(remote: Remote, source: Source, start: int) -> list[Line]:
    more = {"logStreamNamePrefix": source.stream} if source.stream else {}
    made: list[Line] = []

    def ask() -> None:
        pages = remote.clients("logs").get_paginator("filter_log_events")
        for page in pages.paginate(logGroupName=source.group, startTime=max(start, 0), **more):
            made.extend(_line(source, event) for event in page["events"])

    found(f"log {source.group}", ask)
    return made


def _streams(remote: Remote, source: Source) -> list[str]:
    """The newest streams of a source; none where there is no such log group yet."""
    # CloudWatch sorts by time only where no beginning is given.
    more = {"logStreamNamePrefix": source.stream} if source.stream else {"orderBy": "LastEventTime", "descending": True}
    answer = found(
        f"log {source.group}",
        lambda: remote.clients("logs").describe_log_streams(logGroupName=source.group, limit=_NEWEST, **more),
    )
    return [each["logStreamName"] for each in (answer or {}).get("logStreams", [])]


def _line(source: Source, event: dict[str, Any]) -> Line:
    text = str(event["message"]).rstrip("\n")
    label = f"{source.label}: " if source.label else ""
    return Line(int(event["timestamp"]), f"{label}{text}")


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
