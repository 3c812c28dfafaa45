"""Reading YAML with the position of every key and value.

Scalars follow YAML 1.2's core schema, as editors do, and not YAML 1.1: `NO`, `on` and `12:30` are text, `1e-3` is a
number, dates are text. Every mapping key must be text, and none may occur twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from pulumi_mlops.spec.errors import FieldPath, Problem, SpecError

MAX_BYTES: Final = 4 * 2**20
"""Largest file that is read: a spec is written by people."""
MAX_VALUES: Final = 100_000
"""Most values after aliases are followed, against documents that unfold without end."""
MAX_DEPTH: Final = 50
"""Deepest nesting; sections need nine levels, parameters of estimators a few more."""

_TAG: Final = "tag:yaml.org,2002:"


class Mark(NamedTuple):
    """A position in the file, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A value in a mapping, with the position of its key."""

    key: Mark
    node: Node


@dataclass(slots=True)
class Node:
    """A value with its position; mappings and lists hold nodes."""

    value: Any
    mark: Mark

    def child(self, step: str | int) -> Node | None:
        """The value under a key or index, or None."""
        entry = self.entry(step)
        if entry is not None:
            return entry.node
        if isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value):
            return self.value[step]  # type: ignore[no-any-return]
        return None

    def entry(self, step: str | int) -> Entry | None:
        """The value and its key's position, for a mapping."""
        return self.value.get(step) if isinstance(self.value, dict) else None

    def plain(self) -> Any:
        """The value without positions."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass
class Document:
    """A YAML file that was read."""

    file: str
    root: Node
    problems: list[Problem] = field(default_factory=list)
    """What is wrong with it as YAML, where it could be read all the same."""

    def locate(self, path: FieldPath, *, environment: str | None, on_key: bool) -> tuple[FieldPath, Mark]:
        """Where a field of the (merged) spec is written: its path in the file, and its position.

        A field that is written nowhere is where it would belong: at the innermost section that is written.
        """
        overlay = None
        if environment is not None and (overlays := self.root.child("environments")):
            overlay = overlays.child(environment)
        base: Node | None = self.root
        mark, shown, prefix = self.root.mark, path, ("environments", environment or "")
        for depth, step in enumerate(path, start=1):
            last = depth == len(path)
            merged = overlay is None or isinstance(overlay.value, dict)
            for node, is_overlay in ((overlay, True), (base if merged else None, False)):
                if node is None or (child := node.child(step)) is None:
                    continue
                entry = node.entry(step)
                # A section is at its key; only a scalar at fault is at its value.
                at_key = entry and (on_key or not last or isinstance(child.value, dict | list))
                mark = entry.key if entry and at_key else child.mark
                shown = (*prefix, *path) if is_overlay else path
                break
            else:
                break
            overlay, base = (
                overlay.child(step) if overlay else None,
                base.child(step) if base and merged else None,
            )
        return shown, mark


class _Loader(yaml.CSafeLoader):
    """Finds tags by YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape


for _name, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def read(path: Path, shown: str) -> Document:
    """Read a YAML file.

    Args:
        path: The file.
        shown: How messages name it.

    Raises:
        SpecError: The file can't be read as one YAML mapping.
    """
    return parse(_text(path, shown), shown)


def parse(text: str, shown: str) -> Document:
    """Read YAML from a text; raises as `read` does."""

    def fail(code: str, message: str, mark: Mark | None = None, hint: str | None = None) -> SpecError:
        line, column = mark or (None, None)
        return SpecError([Problem(code, (), message, hint=hint, file=shown, line=line, column=column)])

    try:
        if (too_deep := _too_deep(text)) is not None:
            raise fail("MLOPS-S007", f"nested deeper than {MAX_DEPTH} levels", too_deep)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        hint = "Indent with spaces; YAML allows no tabs." if "\t" in _line(text, at.line if at else 0) else None
        message = error.problem or error.context or "not valid YAML"
        raise fail("MLOPS-S003", message, _mark(at) if at else None, hint or _syntax_hint(message)) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        mark = Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise fail("MLOPS-S003", "a control character that YAML does not allow", mark, "Delete it.") from None
    if root is None:
        raise fail("MLOPS-S004", "the file is empty", hint="`mlops init DATASET` writes a spec to start from.")
    if not isinstance(root, yaml.MappingNode):
        kind = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
        hint = "The top of a spec is `apiVersion: mlops/v1`, then sections such as `identity:` and `data:`."
        raise fail("MLOPS-S004", f"expected a mapping of sections, found {kind}", _mark(root.start_mark), hint)
    builder = _Builder(shown)
    return Document(shown, builder.build(root, ()), builder.problems)


class _Builder:
    """Turns PyYAML's nodes into ours, following aliases."""

    def __init__(self, shown: str) -> None:
        self.shown, self.problems, self.count = shown, list[Problem](), 0

    def build(self, node: yaml.Node, path: FieldPath) -> Node:
        mark = _mark(node.start_mark)
        self.count += 1
        if self.count > MAX_VALUES or len(path) > MAX_DEPTH:
            # An alias to something around itself unfolds without end, and ends here too.
            limit = f"more than {MAX_VALUES} values" if self.count > MAX_VALUES else f"more than {MAX_DEPTH} levels"
            raise SpecError([self._problem("MLOPS-S007", path[:10], f"the document unfolds to {limit}", mark)])
        if isinstance(node, yaml.MappingNode):
            return Node(self._mapping(node, path), mark)
        if isinstance(node, yaml.ScalarNode):
            return Node(self._scalar(node, path), mark)
        self._known(node, path, "seq")
        return Node([self.build(item, (*path, i)) for i, item in enumerate(node.value)], mark)

    def _mapping(self, node: yaml.MappingNode, path: FieldPath) -> dict[str, Entry]:
        self._known(node, path, "map")
        entries: dict[str, Entry] = {}
        inherited: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            at = _mark(key_node.start_mark)
            if key_node.tag == f"{_TAG}merge":
                for part in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                    if isinstance(part, yaml.MappingNode):
                        for key, entry in self.build(part, path).value.items():
                            inherited.setdefault(key, entry)
                    else:
                        self.problems.append(self._problem("MLOPS-S003", path, "<< takes a mapping", at))
                continue
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != f"{_TAG}str":
                hint = None
                if isinstance(key_node, yaml.ScalarNode):
                    hint = f'Quote it: "{key_node.value}".'
                self.problems.append(self._problem("MLOPS-S006", path, "a key must be text", at, hint))
                continue
            key = key_node.value
            if key in entries:
                first = entries[key].key.line
                message = f"given before, in line {first}"
                self.problems.append(self._problem("MLOPS-S005", (*path, key), message, at, "Keep one of them."))
                continue
            entries[key] = Entry(at, self.build(value_node, (*path, key)))
        return {**inherited, **entries} if inherited else entries

    def _scalar(self, node: yaml.ScalarNode, path: FieldPath) -> Any:
        text = node.value
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                try:
                    return int(text, 0 if text[:2] in ("0x", "0o") else 10)
                except ValueError:
                    return text
            case "float":
                try:
                    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
                except ValueError:
                    return text
            case "str" | "merge":
                return text
            case _:
                self._known(node, path)
                return text

    def _known(self, node: yaml.Node, path: FieldPath, *names: str) -> None:
        if node.tag not in [_TAG + name for name in names]:
            message = "YAML tags such as !name are not used in specs"
            self.problems.append(
                self._problem("MLOPS-S003", path, message, _mark(node.start_mark), "Take the tag out.")
            )

    def _problem(self, code: str, path: FieldPath, message: str, at: Mark, hint: str | None = None) -> Problem:
        return Problem(code, path, message, hint=hint, file=self.shown, line=at.line, column=at.column)


def _too_deep(text: str) -> Mark | None:
    """Where the nesting becomes too deep. Composing recurses in C, and would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return _mark(event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _text(path: Path, shown: str) -> str:
    def fail(code: str, message: str, hint: str | None = None, line: int | None = None) -> SpecError:
        return SpecError([Problem(code, (), message, hint=hint, file=shown, line=line)])

    try:
        if path.is_dir():
            hint = f"Name the file: {Path(shown) / 'mlops.yaml'}."
            raise fail("MLOPS-S001", "this is a directory", hint)
        if not path.exists():
            hint = "`mlops init DATASET` writes a spec to start from."
            raise fail("MLOPS-S001", "there is no such file", hint)
        if not path.is_file():
            raise fail("MLOPS-S001", "this is not a regular file")
        if path.stat().st_size > MAX_BYTES:
            hint = "Is it a data file? A spec names data by its location."
            raise fail("MLOPS-S007", f"the file is larger than {MAX_BYTES // 2**20} MiB", hint)
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise fail("MLOPS-S001", f"the file can't be read: {reason.lower()}") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise fail("MLOPS-S002", f"byte {error.start} is not UTF-8", "Save the file as UTF-8.", line) from None


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number] if number < len(lines) else ""


def _syntax_hint(message: str) -> str | None:
    if "mapping values are not allowed" in message:
        return "Quote a value that holds ': ', and check the indentation."
    if "cannot start any token" in message:
        return "Quote a value that begins with this character."
    if "expected <block end>" in message or "block mapping" in message or "could not find expected" in message:
        return "Check the indentation, and that each key ends with ': '."
    if "single document" in message or "document start" in message:
        return "A file holds one spec: take out everything from the second --- on."
    if "undefined alias" in message:
        return "Quote a value that begins with *, or name the anchor with & before."
    return None
