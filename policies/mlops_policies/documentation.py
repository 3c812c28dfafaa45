"""The pages about rules and frameworks in `docs/policies`, made from the rules themselves.

`python -m mlops_policies.documentation` writes them; with `--check` it fails where they are out of date.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mlops_policies import frameworks
from mlops_policies.findings import Severity
from mlops_policies.frameworks import Framework
from mlops_policies.registry import PACKS, Rule, Scope, rules
from mlops_policies.reports.compliance.markdown import cell, escaped, table
from mlops_policies.settings import PACK_SETTINGS, Settings

FOLDER: Final = Path("docs/policies")
"""Where the pages are, from the top of the repository."""

_SCOPES: Final = {
    Scope.RESOURCE: "single resources, each by itself, also before it is made",
    Scope.COMPONENT: "single components, each by itself, also before it is made",
    Scope.STACK: "resources among the others, when all of the stack is known",
}


def pages() -> dict[str, str]:
    """All pages: Markdown by path below the folder."""
    packs = list(PACKS)
    known = sorted(rules().values(), key=lambda rule: (packs.index(rule.pack), rule.id))
    cited = list(frameworks.load().values())
    made = {"README.md": _overview(known, cited), "matrix.md": _matrix(known, cited)}
    made |= {f"frameworks/{framework.id}.md": _framework(framework, known) for framework in cited}
    made |= {f"rules/{rule.id}.md": _rule(rule) for rule in known}
    return {name: "\n\n".join(blocks) + "\n" for name, blocks in made.items()}


def outdated(folder: Path) -> list[str]:
    """Pages that are missing, differ, or are no longer wanted."""
    wanted = pages()
    there = {path.relative_to(folder).as_posix(): path for path in folder.glob("**/*.md")}
    return sorted(
        name
        for name in {*wanted, *there}
        if name not in wanted or name not in there or there[name].read_text("utf-8") != wanted[name]
    )


def write(folder: Path) -> list[str]:
    """Writes the pages that are out of date, deletes those no longer wanted, and tells which."""
    wanted, changed = pages(), outdated(folder)
    for name in changed:
        path = folder / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[name], "utf-8")
        else:
            path.unlink()
    return changed


def _rule(rule: Rule) -> Iterator[str]:
    yield f"# {rule.id}"
    yield f"**{rule.title}**"
    yield f"Pack {rule.pack} · severity {rule.severity} · {Settings().level(rule)} by default"
    if rule.description:
        yield rule.description
    yield "## How to mend it"
    yield rule.remediation
    if rule.remedy is not None:
        yield "The level `remediate` does it before the resource is made."
    yield "## What is judged"
    yield f"It judges {'the judgement itself' if rule.last else _SCOPES[rule.scope]}."
    if rule.on:
        yield "\n".join(f"- `{token}`" for token in rule.on)
    if rule.parameters is not None:
        yield "## Parameters"
        yield "\n".join(_parameters(rule.parameters.model_json_schema()))
    yield "## Configuration"
    yield _json(_example(rule))
    yield "## References"
    yield "\n".join(_references(rule))


def _json(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


def _parameters(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, facts in schema.get("properties", {}).items():
        default = facts.get("default")
        shown = "none" if default is None else f"`{json.dumps(default, ensure_ascii=False)}`"
        yield f"- `{name}` ({_type(facts, schema)}, default {shown}): {' '.join(facts['description'].split())}"


def _type(facts: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "anyOf" in facts:
        return " or ".join(_type(one, schema) for one in facts["anyOf"] if one.get("type") != "null")
    if "$ref" in facts:
        return _type(schema["$defs"][facts["$ref"].rpartition("/")[2]], schema)
    if "enum" in facts:
        return "one of " + ", ".join(f"`{value}`" for value in facts["enum"])
    if facts.get("type") == "array":
        return f"list of {_type(facts.get('items', {}), schema)}"
    return str(facts.get("format") or facts.get("type") or "any value")


def _example(rule: Rule) -> dict[str, Any]:
    level = str(Settings().level(rule))
    given = rule.parameters().model_dump(mode="json", exclude_none=True) if rule.parameters is not None else {}
    return {rule.id: {"enforcementLevel": level, **given} if given else level}


def _references(rule: Rule) -> Iterator[str]:
    for name, clauses in rule.references.items():
        framework = frameworks.framework(name)
        for clause in clauses:
            yield f"- [{framework.short}]({framework.source}) {clause}: {framework.clause(clause).title}"
    if not rule.references:
        yield f"No outside source asks for it. {rule.reason}"


def _overview(known: list[Rule], cited: list[Framework]) -> Iterator[str]:
    yield "# Policies"
    yield (
        f"{len(known)} rules in {len(PACKS)} packs, made into pages from the rules themselves. "
        "[The matrix](matrix.md) shows which rule serves which clause of which framework."
    )
    yield "## How to read it"
    yield (
        "A rule's title says what holds where it is met. High and critical rules are mandatory by default, the others "
        "advisory. One document sets levels, parameters and frameworks, for `mlops check --policy-config FILE` and "
        "for `pulumi preview --policy-pack … --policy-pack-config FILE`:"
    )
    parameters = next((_example(rule) for rule in known if rule.parameters is not None), {})
    common = {"frameworks": [cited[0].id], "severity": "medium", "levels": {"dev": {"all": "advisory"}}}
    yield _json({"all": "mandatory", **parameters, PACK_SETTINGS: common})
    yield "## Packs"
    packs = []
    for name, about in PACKS.items():
        counts = Counter(rule.severity for rule in known if rule.pack == name)
        packs.append([f"[{name}](#{name})", about, str(counts.total()), *(str(counts[one]) for one in Severity)])
    yield table(("Pack", "About", "Rules", *Severity), packs)
    yield "## Frameworks"
    yield "`mlops compliance FRAMEWORK` reports on those in bold; the others are cited."
    heads = ("Framework", "Rules", "Clauses with rules", "Clauses listed")
    yield table(heads, (_counted(framework, known) for framework in cited))
    for name in PACKS:
        yield f"## {name}"
        rows = ([_link(rule), str(rule.severity), cell(rule.title)] for rule in known if rule.pack == name)
        yield table(("Rule", "Severity", "What holds where it is met"), rows)


def _counted(framework: Framework, known: list[Rule]) -> list[str]:
    serving = [rule for rule in known if framework.id in rule.references]
    clauses = {clause for rule in serving for clause in rule.references[framework.id]}
    name = f"[{framework.short}](frameworks/{framework.id}.md)"
    name = f"**{name}**" if framework.selectable else name
    return [name, str(len(serving)), str(len(clauses)), str(len(framework.clauses))]


def _matrix(known: list[Rule], cited: list[Framework]) -> Iterator[str]:
    yield "# Rules and frameworks"
    for title, wanted in (("Frameworks that can be reported on", True), ("Catalogues that are cited", False)):
        columns = [framework for framework in cited if framework.selectable is wanted]
        rows = ([_link(rule), *(", ".join(rule.references.get(one.id, ())) for one in columns)] for rule in known)
        yield f"## {title}"
        heads = ("Rule", *(f"[{one.short}](frameworks/{one.id}.md)" for one in columns))
        yield table(heads, (row for row in rows if any(row[1:])))


def _framework(framework: Framework, known: list[Rule]) -> Iterator[str]:
    yield f"# {framework.title}"
    yield framework.version
    yield f"Source: <{framework.source}>"
    if framework.selectable:
        yield f"`mlops compliance {framework.id}` reports on it clause by clause."
    rows = []
    for clause in framework.clauses.values():
        serving = [rule for rule in known if clause.id in rule.references.get(framework.id, ())]
        links = "<br>".join(_link(rule, "../") for rule in serving) or "none"
        rows.append((escaped(clause.id), cell(clause.title), links, cell(clause.beyond)))
    yield table(("Clause", "What it asks", "Rules", "What no tool can check"), rows)


def _link(rule: Rule, up: str = "") -> str:
    return f"[{rule.id}]({up}rules/{rule.id}.md)"


def main(arguments: list[str] | None = None, say: Callable[[str], object] = sys.stderr.write) -> int:
    """The command; its exit code is 1 where `--check` finds pages out of date."""
    parser = argparse.ArgumentParser(prog="python -m mlops_policies.documentation", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where the pages are (%(default)s)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is out of date")
    given = parser.parse_args(arguments)
    changed = outdated(given.folder) if given.check else write(given.folder)
    for name in changed:
        say(f"{given.folder / name}: {'out of date; run the command without --check' if given.check else 'written'}\n")
    return 1 if given.check and changed else 0


if __name__ == "__main__":
    raise SystemExit(main())
