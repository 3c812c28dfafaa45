"""Whether an account can take the stack of a spec: asked before anything is created, nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from pulumi_mlops.platforms.aws.checks import capacity, clashes, given, identity, permissions
from pulumi_mlops.platforms.aws.checks.question import Asked
from pulumi_mlops.platforms.aws.clients import AwsError, Clients, DeniedError
from pulumi_mlops.platforms.checks import Check, Status
from pulumi_mlops.spec.aws import Aws

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec

_CHECKS: Final[dict[str, Callable[[Asked], Iterator[Check]]]] = {
    "region": identity.region,
    "permissions": permissions.permissions,
    "quotas": capacity.quotas,
    "zones": capacity.zones,
    "names": clashes.names,
    "key": given.key,
    "network": given.network,
    "pieces": given.pieces,
    "images": given.images,
    "logs": given.logs,
    "secrets": given.secrets,
}
"""Each asks services of its own; they run side by side."""


def checks(spec: Spec, settings: Aws, clients: Clients) -> Iterator[Check]:
    """What the account says to a spec, a check at a time; without an identity nothing else is asked."""
    asked = Asked(spec, settings, clients)
    who = identity.identity(asked)
    yield who
    if who.status == Status.FAIL:
        return
    with ThreadPoolExecutor(len(_CHECKS)) as pool:
        started = [pool.submit(_run, name, check, asked) for name, check in _CHECKS.items()]
        for each in started:
            yield from each.result()


def _run(name: str, check: Callable[[Asked], Iterator[Check]], asked: Asked) -> list[Check]:
    found: list[Check] = []
    try:
        found.extend(check(asked))
    except DeniedError as error:
        found.append(Check(name, Status.WARN, f"not checked, for the caller may not look: {error}"))
    except AwsError as error:
        found.append(Check(name, Status.FAIL, str(error)))
    return found
