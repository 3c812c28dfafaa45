"""What a rule says of several things at once, when some of them can't be decided yet or are not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from mlops_policies.values import NotApplicable, Undecided

_T = TypeVar("_T")


def thorough(parts: Iterable[Iterable[_T]]) -> Iterator[_T]:
    """What several parts give, one after the other; a part that can't be decided yet hides nothing of the others.

    Raises:
        Undecided: at the end, as the first of them did.
    """
    undecided: Undecided | None = None
    rest = iter(parts)
    while True:
        try:
            for part in rest:
                yield from part
            break
        except Undecided as found:
            undecided = undecided or found
    if undecided is not None:
        raise undecided


def some(found: Iterable[_T], otherwise: str) -> Iterator[_T]:
    """What a rule is about.

    Arguments:
        found: the things.
        otherwise: why the rule does not apply where there are none.

    Raises:
        NotApplicable: there are none.
    """
    none = True
    for thing in found:
        none = False
        yield thing
    if none:
        raise NotApplicable(otherwise)


def once(found: Iterable[_T]) -> Iterator[_T]:
    """Each thing once: what a workflow says for all its steps is found in each of them."""
    told = set()
    for thing in found:
        if thing not in told:
            told.add(thing)
            yield thing
