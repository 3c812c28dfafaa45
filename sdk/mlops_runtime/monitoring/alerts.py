"""Alerts: raised once, repeated with pauses, resolved, and delivered however often that takes."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mlops_runtime.monitoring.receivers import Receiver
from mlops_runtime.stores.layout import write_atomically

_log = logging.getLogger(__name__)

MAX_ATTEMPTS = 12
"""Deliveries tried before one is given up: about 35 minutes."""

MAX_PAUSE_SECONDS = 300.0
"""Longest pause between two tries; pauses double from one second."""

_TAIL_BYTES = 1 << 16


class _Episode(BaseModel):
    """An alert that lasts: since when, and which receivers were told."""

    since: str
    told: set[str] = set()


class _Delivery(BaseModel):
    """A message on its way to a receiver."""

    receiver: str
    body: dict[str, Any]
    attempts: int = 0
    due: float = 0.0


class _State(BaseModel):
    active: dict[str, _Episode] = {}
    sent: dict[str, dict[str, float]] = {}
    outbox: list[_Delivery] = []


class Alerts:
    """The alerts of one watcher. A restart forgets none and repeats none.

    Args:
        folder: where the state (`alerts.json`) and the history (`alerts.jsonl`) are kept.
        receivers: who is told.
        common: fields of every message: the model, and such as the monitor's name.
        clock: gives the time, seconds since 1970.

    Attributes:
        delivered: messages that receivers accepted, since the start.
        given_up: messages that were given up, since the start.
    """

    def __init__(
        self,
        folder: Path,
        receivers: Sequence[Receiver],
        common: Mapping[str, Any],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = folder / "alerts.json"
        self._history = folder / "alerts.jsonl"
        self._receivers = {receiver.key: receiver for receiver in receivers}
        self._common = dict(common)
        self._clock = clock
        self._state = self._load()
        self.delivered = 0
        self.given_up = 0

    @property
    def active(self) -> dict[str, str]:
        """Alerts that last, and since when."""
        return {signal: episode.since for signal, episode in self._state.active.items()}

    @property
    def waiting(self) -> int:
        """Messages that are still to be delivered."""
        return len(self._state.outbox)

    def raise_(self, signal: str, at: str, text: str, details: Mapping[str, Any]) -> None:
        """Say that a signal's limit is exceeded.

        The first time, and again after each receiver's `min_interval_s`, the receiver is told; also an alert that comes
        back sooner than that waits for it.

        Args:
            signal: name of the signal.
            at: what was judged (the window's start, the run's id); the same alert for the same is one message.
            text: one line for people; chat services show this field of the body.
            details: more fields of the message.
        """
        episode = self._state.active.get(signal)
        if episode is None:
            episode = self._state.active[signal] = _Episode(since=at)
            self._remember(signal, "firing", at, episode, text, details)
        now = self._clock()
        sent = self._state.sent.setdefault(signal, {})
        for name, receiver in self._receivers.items():
            if now - sent.get(name, float("-inf")) >= receiver.min_interval_s:
                sent[name] = now
                episode.told.add(name)
                self._send(name, self._message(signal, "firing", at, episode, text, details))
        self._save()

    def resolve(self, signal: str, at: str, text: str, details: Mapping[str, Any]) -> None:
        """Say that a signal is within its limit; receivers that were told of the alert are told of its end."""
        episode = self._state.active.pop(signal, None)
        if episode is None:
            return
        self._remember(signal, "resolved", at, episode, text, details)
        for name in sorted(episode.told & self._receivers.keys()):
            self._send(name, self._message(signal, "resolved", at, episode, text, details))
        self._save()

    def deliver(self) -> None:
        """Try the deliveries that are due. Failures are logged, without secrets, and tried again later."""
        now = self._clock()
        # What waits for a receiver goes there in order: the end of an alert never before its beginning.
        first = {delivery.receiver: delivery.due for delivery in reversed(self._state.outbox)}
        due = [delivery for delivery in self._state.outbox if first[delivery.receiver] <= now]
        failed: set[str] = set()
        for delivery in due:
            if delivery.receiver in failed:
                continue
            receiver = self._receivers.get(delivery.receiver)
            failure = "the receiver is not configured any more" if receiver is None else receiver.deliver(delivery.body)
            delivery.attempts += 1
            if failure is None:
                self.delivered += 1
            elif receiver is None or delivery.attempts >= MAX_ATTEMPTS:
                self.given_up += 1
                _log.error("alert %s was not delivered and is given up: %s", delivery.body["id"], failure)
            else:
                delivery.due = self._clock() + min(MAX_PAUSE_SECONDS, 2.0 ** (delivery.attempts - 1))
                _log.warning(
                    "alert %s was not delivered to %s, attempt %d: %s",
                    delivery.body["id"],
                    receiver.label,
                    delivery.attempts,
                    failure,
                )
                failed.add(delivery.receiver)
                continue
            self._state.outbox.remove(delivery)
        if due:
            self._save()

    def close(self) -> None:
        """Close connections; what was not delivered is, after the next start."""
        for receiver in self._receivers.values():
            receiver.close()

    def _message(
        self, signal: str, state: str, at: str, episode: _Episode, text: str, details: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {
            # The same for every try, so that a receiver can tell a repetition.
            "id": "/".join([*map(str, self._common.values()), signal, state, at]),
            **self._common,
            "signal": signal,
            "state": state,
            "since": episode.since,
            "text": text,
            **details,
        }

    def _send(self, receiver: str, body: dict[str, Any]) -> None:
        self._state.outbox.append(_Delivery(receiver=receiver, body=body))

    def _remember(
        self, signal: str, state: str, at: str, episode: _Episode, text: str, details: Mapping[str, Any]
    ) -> None:
        message = self._message(signal, state, at, episode, text, details)
        (_log.warning if state == "firing" else _log.info)("alert %s: %s", state, text)
        if not self._known(message["id"]):
            self._history.parent.mkdir(parents=True, exist_ok=True)
            with self._history.open("a") as file:
                file.write(json.dumps(message) + "\n")

    def _known(self, identifier: str) -> bool:
        """Whether the history has it: a crash between history and state brings an alert again."""
        try:
            with self._history.open("rb") as file:
                file.seek(max(0, self._history.stat().st_size - _TAIL_BYTES))
                return json.dumps({"id": identifier})[1:-1].encode() in file.read()
        except FileNotFoundError:
            return False

    def _load(self) -> _State:
        try:
            return _State.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return _State()
        except ValueError as error:
            _log.error("%s can't be read, alerts begin anew: %s", self._file, error)
            return _State()

    def _save(self) -> None:
        write_atomically(self._file, self._state.model_dump_json(), mode=0o600)
