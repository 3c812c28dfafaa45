"""The deliberately bad stacks in `bad/`: programs, and what is found in each."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from mlops_policies import Judge, Judgement, Settings, selected
from pulumi_mlops.cli import render

FOLDER = Path(__file__).parent / "bad"


@dataclass(frozen=True)
class BadStack:
    """A program, with the constants at its top.

    Arguments:
        path: the program.
        packs: the packs that it is judged by; empty: all.
        expected: rule and resource's name of all that is found, no more and no less.
    """

    path: Path
    packs: tuple[str, ...]
    expected: frozenset[tuple[str, str]]

    @property
    def local(self) -> bool:
        """Whether it is a stack of the local platform, which really trains when it is brought up."""
        return "MLStack" in self.path.read_text() or "LocalPlatform" in self.path.read_text()

    def judgement(self) -> Judgement:
        """What `mlops check` finds."""
        made = render.program(self.path, None)
        return Judge(selected(self.packs), Settings(environment=made.stack.name)).judgement(made.stack)


def bad_stacks() -> list[BadStack]:
    """All of them, by name."""
    return [_read(path) for path in sorted(FOLDER.glob("*_[0-9][0-9]_*.py"))]


def _read(path: Path) -> BadStack:
    constants = {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("PACKS", "EXPECTED")
    }
    return BadStack(path, tuple(constants.get("PACKS", ())), frozenset(constants["EXPECTED"]))
