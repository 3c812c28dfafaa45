"""What a resource of the local provider is: the operations that the engine asks for."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

Properties = dict[str, Any]


class ProviderError(Exception):
    """An operation failed, for a reason that the message explains to the user together with its mending."""


class CancelledError(ProviderError):
    """The user interrupted the engine."""


@dataclass(frozen=True)
class Context:
    """What an operation may use.

    Arguments:
        say: tells the user a line of progress, on the resource's own line of the display.
        warn: tells the user something that needs attention.
        cancelled: set when the user interrupts; long operations stop then.
    """

    say: Callable[[str], None]
    warn: Callable[[str], None]
    cancelled: threading.Event = field(default_factory=threading.Event)


class Handler(ABC):
    """Operations on one type of resource.

    Properties are plain JSON values. `diff` may look at the world as well as at the state, so that `up` mends what has
    drifted even without a refresh.
    """

    token: ClassVar[str]
    immutable: ClassVar[frozenset[str]] = frozenset({"root"})
    """Inputs whose change makes a new resource."""

    def check(self, inputs: Properties, old: Properties | None) -> dict[str, str]:
        """Problems of the inputs, by property; `old` are the inputs of the existing resource, or None."""
        return {}

    def preview(self, inputs: Properties) -> Properties:
        """Outputs that are known before the resource is made."""
        return inputs

    @abstractmethod
    def create(self, inputs: Properties, context: Context) -> tuple[str, Properties]:
        """Make the resource; returns its id and outputs. Nothing is left behind where it fails.

        Raises:
            ProviderError: it can't be made.
        """

    @abstractmethod
    def read(self, identifier: str, state: Properties) -> Properties | None:
        """The resource as it is now, or None where it is gone."""

    def drift(self, state: Properties, inputs: Properties) -> set[str]:
        """Outputs that are not as they should be, judged by the state and the world."""
        return set()

    def changes(self, state: Properties, old: Properties, inputs: Properties) -> set[str]:
        """Properties that an update would change."""
        differing = {key for key in old.keys() | inputs.keys() if old.get(key) != inputs.get(key)}
        return differing | self.drift(state, inputs)

    @abstractmethod
    def update(self, identifier: str, state: Properties, inputs: Properties, context: Context) -> Properties:
        """Change the resource; returns its outputs.

        Raises:
            ProviderError: it can't be changed.
        """

    @abstractmethod
    def delete(self, identifier: str, state: Properties, context: Context) -> None:
        """Remove the resource; nothing happens where it is gone.

        Raises:
            ProviderError: it can't be removed.
        """


def registry(*handlers: Handler) -> Mapping[str, Handler]:
    """The handlers by type token."""
    return {handler.token: handler for handler in handlers}
