"""A trial: up, the first run, a deployment, a prediction, status; and down again, whatever happened."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tools.console import ToolError, say

HOURS: Final = 3
"""How long a trial takes at most, for its estimate: MLflow's start, a run, a deployment, and taking it down."""

_MONTH_HOURS: Final = 730
_RUN_SECONDS: Final = 7200.0
_DEPLOYED_SECONDS: Final = 3600
_LOOK_EVERY_SECONDS: Final = 30.0
_DESTROYS: Final = 3
"""Attempts: an endpoint that is being changed, or a run that is stopping, can't be deleted yet."""
_BETWEEN_SECONDS: Final = 120.0
_PLUGIN: Final = ("plugin", "install", "resource", "aws")
_STACK: Final = ("--stack", "trial")
_COMPONENTS: Final = ("pulumi:pulumi:Stack", "pulumi:providers:", "mlops:")
"""Beginnings of the types of what is nowhere but in the state."""


_GOING: Final = ("not started", "starting", "executing", "stopping")
"""States of a run that has not ended."""


class Runs(Protocol):
    """See `commands.Commands`."""

    def run(self, *command: str) -> None:
        """See `commands.Commands.run`."""

    def answer(self, *command: str, accept: Sequence[int] = (0,)) -> Any:
        """See `commands.Commands.answer`."""


class Owns(Protocol):
    """See `account.Belongings`."""

    def bring_tables(self) -> None:
        """See `account.Belongings.bring_tables`."""

    def delete_packages(self) -> None:
        """See `account.Belongings.delete_packages`."""

    def delete_deployed(self) -> None:
        """See `account.Belongings.delete_deployed`."""

    def take_tables(self) -> None:
        """See `account.Belongings.take_tables`."""


@dataclass
class Trial:
    """A trial.

    Arguments:
        commands: runs commands in its folder.
        belongings: what it owns beside the stack.
        pulumi: the engine's executable.
        mlops: the executable of `mlops`.
        plugin: version of the provider's plugin.
        sleep: waits for seconds.
        clock: seconds that only grow.
    """

    commands: Runs
    belongings: Owns
    pulumi: str
    mlops: str
    plugin: str
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def look(self) -> None:
        """Make sure that the account can take the stack, its images included.

        Raises:
            ToolError: it can't.
        """
        say("[1/7] credentials, account and images: mlops preflight")
        told = self.commands.answer(self.mlops, "preflight", "--json", accept=(0, 1))
        if "checks" not in told:
            raise ToolError(f"mlops preflight failed: {told.get('error', told)}")
        # An image that `up` could make room for is none that a trial can run.
        bad = [
            check
            for check in told["checks"]
            if check["status"] == "fail" or (check["check"].startswith("image ") and check["status"] != "ok")
        ]
        for check in told["checks"]:
            if check in bad or check["status"] != "ok":
                say("\n".join([f"  {check['status']}: {check['check']}: {check['message']}", *_lines(check)]))
        if bad:
            raise ToolError(f"{len(bad)} of {len(told['checks'])} checks failed; nothing was made")

    def estimate(self) -> None:
        """Say what the stack costs.

        Raises:
            ToolError: there are no prices.
        """
        say("[2/7] cost: mlops cost")
        told = self.commands.answer(self.mlops, "cost", "--json")
        low, high = told["low"], told["high"]
        say(f"  {low:,.2f} to {high:,.2f} USD a month in {told['region']}, if it stayed")
        say(
            f"  of that at most {high * HOURS / _MONTH_HOURS:,.2f} USD in the {HOURS} hours that a trial takes at most,"
        )
        say("  and the jobs of one run; KMS keys are billed until their deletion is due")
        for each in told["unpriced"]:
            say(f"  not in it, for AWS lists no price: {each}")

    def make(self) -> None:
        """Bring it up, wait for the first run and its deployment, and ask for a prediction.

        The trial is taken down, whatever happens.

        Raises:
            ToolError: something is not as it should be, or something is left.
        """
        try:
            self._make()
        except BaseException as error:
            why = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
            say(f"failed: {why}; taking everything down")
            left = self._down()
            if left:
                raise ToolError(f"{why}; and not all could be taken down, see above") from error
            raise
        if self._down():
            raise ToolError("the trial passed, but not all could be taken down, see above")

    def _make(self) -> None:
        say("[3/7] tables into a bucket; pulumi up (MLflow takes some 25 minutes)")
        self.commands.run(self.pulumi, *_PLUGIN, self.plugin)
        self.commands.run(self.pulumi, "stack", "init", "trial")
        self.belongings.bring_tables()
        self.commands.run(self.pulumi, "up", *_STACK, "--yes", "--skip-preview", "--non-interactive")
        say("[4/7] waiting for the first run to end")
        self._wait_for_run()
        say("[5/7] waiting for its deployment, and asking for a prediction")
        wait = str(_DEPLOYED_SECONDS)
        answered = self.commands.answer(self.mlops, "predict", "--sample", "--wait", wait, "--json")
        if not answered["predictions"]:
            raise ToolError("the endpoint answered without a prediction")
        say(f"  version {answered['version']} predicts: {answered['predictions'][0]}")
        say("[6/7] mlops status")
        told = self.commands.answer(self.mlops, "status", "--json", accept=(0, 1))
        for component in told["components"]:
            say(f"  {component['state']}: {component['kind']} {component['name']}: {component['summary']}")
        if not told["healthy"]:
            raise ToolError("mlops status finds something bad")

    def _wait_for_run(self) -> None:
        until = self.clock() + _RUN_SECONDS
        shown = None
        while True:
            listed = self.commands.answer(self.mlops, "runs", "--limit", "1", "--json")
            status = listed[0]["status"] if listed else "not started"
            if status != shown:
                say(f"  the run: {status}")
                shown = status
            if status == "succeeded":
                return
            if status not in _GOING:
                raise ToolError(f"the first run ended as {status}: {listed[0]['message']}")
            if self.clock() > until:
                raise ToolError(f"the first run did not end within {_RUN_SECONDS / 60:.0f} minutes")
            self.sleep(_LOOK_EVERY_SECONDS)

    def _down(self) -> bool:
        """Take everything down, and say what is left; returns whether something is."""
        with _uninterrupted():
            say("[7/7] taking it down; Ctrl-C is not heard now")
            failed = [
                self._tried("model packages", self.belongings.delete_packages),
                self._destroyed(),
                self._tried("models and endpoint configs of deployments", self.belongings.delete_deployed),
                self._tried("the bucket of the tables", self.belongings.take_tables),
            ]
        if not any(failed):
            say(
                "nothing is left but logs of jobs in the account's own log groups, and KMS keys that wait to be deleted"
            )
        return any(failed)

    def _destroyed(self) -> bool:
        """Destroy the stack and forget it; returns whether something is left."""
        for attempt in range(1, _DESTROYS + 1):
            try:
                if not self._exists():
                    return False
                self._let_go()
                self.commands.run(self.pulumi, "destroy", *_STACK, "--yes", "--skip-preview", "--non-interactive")
                self.commands.run(self.pulumi, "stack", "rm", "trial", "--yes")
            except ToolError as error:
                say(f"  attempt {attempt} of {_DESTROYS}: {error}")
                if attempt < _DESTROYS:
                    self.sleep(_BETWEEN_SECONDS)
                    # A deployment that ended meanwhile may have approved or made something.
                    self._tried("model packages", self.belongings.delete_packages)
            else:
                return False
        self._tell_what_is_left()
        return True

    def _let_go(self) -> None:
        """Take back the lock of an `up` that was killed, and what it was in the middle of."""
        with suppress(ToolError):  # nothing was locked
            self.commands.run(self.pulumi, "cancel", *_STACK, "--yes")
        if self._state().get("pending_operations"):
            self.commands.run(
                self.pulumi,
                "refresh",
                *_STACK,
                "--clear-pending-creates",
                "--yes",
                "--skip-preview",
                "--non-interactive",
            )

    def _exists(self) -> bool:
        listed = self.commands.answer(self.pulumi, "stack", "ls", "--json")
        return any(each["name"].rpartition("/")[2] == "trial" for each in listed)

    def _state(self) -> Mapping[str, Any]:
        return self.commands.answer(self.pulumi, "stack", "export", *_STACK).get("deployment") or {}

    def _tell_what_is_left(self) -> None:
        try:
            resources = self._state().get("resources", [])
        except ToolError as error:
            say(f"  what is left is not known: {error}")
            return
        say("left in the account:")
        for each in resources:
            if not each["type"].startswith(_COMPONENTS):
                say(f"  {each['type']} {each.get('id', '(being made)')}")

    def _tried(self, what: str, delete: Callable[[], None]) -> bool:
        """Delete something; returns whether that failed."""
        try:
            delete()
        except Exception as error:  # the rest is taken down, whatever was refused here
            say(f"  left in the account: {what}: {error}")
            return True
        return False


def _lines(check: Mapping[str, Any]) -> Iterator[str]:
    return (f"        {remedy}" for remedy in check["remedies"])


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Nothing that asks for an end is heard."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
