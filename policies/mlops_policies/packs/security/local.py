"""The local platform: nothing listens to the network."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from mlops_policies.findings import Finding
from mlops_policies.registry import pack
from mlops_policies.resources import Resource, View
from mlops_policies.several import thorough

rule = pack("security")

_SERVICE: Final = "mlops-local:index:Service"
_PLATFORM: Final = "mlops:index:LocalPlatform"
_OPTIONS: Final = ("--host", "--bind")


@rule(
    _SERVICE,
    _PLATFORM,
    severity="high",
    remediation="Let it listen on 127.0.0.1, and put a proxy that authenticates in front of what others shall reach.",
    references={
        "soc2": ["CC6.6"],
        "gdpr": ["Art. 25(2)"],
        "hipaa": ["164.312(a)(1)"],
        "eu-ai-act": ["Art. 15(5)"],
    },
)
def local_loopback_only(service: Resource) -> Iterator[Finding]:
    """Services of the local platform listen on loopback alone.

    Tracking, endpoints and metrics of a workstation have no certificate, and some no login: nobody but the user may
    reach them. Judged is every address that a service is told to listen on, in its arguments (`--host`, `--bind`) or at
    the top of its configuration (`host`); without one, ours listen on 127.0.0.1.
    """
    if service.type == _PLATFORM:
        yield from _reachable(service, "network.bind")
    else:
        yield from thorough((_in_arguments(service), _in_configuration(service)))


def _in_arguments(service: Resource) -> Iterator[Finding]:
    arguments = service.each("arguments")
    for i, argument in enumerate(arguments):
        option, joined, address = (argument.text() or "").partition("=")
        if option not in _OPTIONS:
            continue
        if joined and not _loopback(address):
            yield argument.finding(f"it listens on {address}, which others can reach")
        elif not joined and i + 1 < len(arguments):
            yield from _reachable(arguments[i + 1], "")


def _in_configuration(service: Resource) -> Iterator[Finding]:
    yield from _reachable(service.json("config"), "host")


def _reachable(view: View, path: str) -> Iterator[Finding]:
    address = view.text(path)
    if address is not None and not _loopback(address):
        yield view.finding(f"it listens on {address}, which others can reach", path)


def _loopback(address: str) -> bool:
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"
