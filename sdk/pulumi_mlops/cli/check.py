"""The commands `check` and `compliance`: policies over a spec, a program or a state, with no engine."""

from __future__ import annotations

import contextlib
import gc
import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
import yaml

from pulumi_mlops.cli.output import ExitCode, Failure, print_text, style
from pulumi_mlops.cli.spec import DEFAULT, AsJson, write

if TYPE_CHECKING:
    from mlops_policies import Result, Settings, Stack
    from mlops_policies.reports import Location, Report

_T = TypeVar("_T")


class Format(StrEnum):
    """What a report is written as."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"


Target = Annotated[
    Path, typer.Argument(metavar="[SPEC|PROGRAM]", help="A spec, a Python program, or the folder of a Pulumi project.")
]
Environment = Annotated[
    str | None, typer.Option("--environment", "-e", help="Apply this environment's overlay of the spec.")
]
StackName = Annotated[
    str | None, typer.Option("--stack", help="The stack whose configuration a program gets. Default: the only one.")
]
State = Annotated[
    Path | None, typer.Option("--state", help="Judge an exported state instead (pulumi stack export --file FILE).")
]
PolicyConfig = Annotated[
    Path | None,
    typer.Option("--policy-config", help="Levels and parameters (JSON or YAML), as for pulumi --policy-pack-config."),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead of standard output.")]


def check(
    target: Target = DEFAULT,
    environment: Environment = None,
    stack: StackName = None,
    state: State = None,
    pack: Annotated[
        list[str] | None, typer.Option("--pack", "-p", help="Judge by this pack only; may be repeated. Default: all.")
    ] = None,
    policy_config: PolicyConfig = None,
    output_format: Annotated[Format, typer.Option("--format", "-f", help="How to write the report.")] = Format.TEXT,
    output: Output = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on advisory findings too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge a spec, a program or a state by the policies, with no engine, no cloud and no credentials.

    The same rules as `pulumi preview --policy-pack`: over the spec, the resources that it becomes, and how they hang
    together. Exit code 0: nothing mandatory is wrong; 1: something is.
    """
    if as_json and output_format not in (Format.TEXT, Format.JSON):
        raise Failure(f"--json and --format {output_format} exclude each other", code=ExitCode.USAGE)
    kind = Format.JSON if as_json else output_format
    # Only JUnit lists what passed.
    report = judged(target, environment, stack, state, pack or (), policy_config, evidence=kind is Format.JUNIT)
    if kind is Format.TEXT and output is None:
        from mlops_policies.reports.text import lines

        for line in lines(report, style):
            print_text(line)
    else:
        _write(output, _written(report, kind))
    if not report.judgement.passed or (strict and report.judgement.findings):
        raise typer.Exit(ExitCode.PROBLEM)


def compliance(
    framework: Annotated[
        str,
        typer.Argument(
            metavar="FRAMEWORK",
            help="One of eu-ai-act, nist-ai-rmf, iso-42001, sr-26-2, hipaa, gdpr, soc2, gmlp, aws-ai-bp.",
        ),
    ],
    target: Target = DEFAULT,
    environment: Environment = None,
    stack: StackName = None,
    state: State = None,
    policy_config: PolicyConfig = None,
    html: Annotated[bool, typer.Option("--html", help="Write HTML.")] = False,
    md: Annotated[bool, typer.Option("--md", help="Write Markdown; the default.")] = False,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Report on a framework clause by clause: met, not met, or not checkable here, with the evidence.

    The report claims only what was checked, and says of each clause what no tool can check. Exit code 1: a clause is
    not met.
    """
    from mlops_policies import frameworks
    from mlops_policies.reports import compliance as reporting

    if framework not in frameworks.SELECTABLE:
        raise Failure(f"there is no framework {framework}", hint=f"Name one of {', '.join(frameworks.SELECTABLE)}.")
    if sum((html, md, as_json)) > 1:
        raise Failure("--html, --md and --json exclude each other", code=ExitCode.USAGE)
    report = judged(target, environment, stack, state, (), policy_config, evidence=True)
    assessment = reporting.assess(report, framework)
    if as_json:
        _write(output, json.dumps(assessment.as_json(), indent=2, ensure_ascii=False))
    else:
        _write(output, reporting.to_html(assessment) if html else reporting.to_markdown(assessment))
    if not assessment.met:
        raise typer.Exit(ExitCode.PROBLEM)


def judged(
    target: Path,
    environment: str | None,
    stack: str | None,
    state: Path | None,
    packs: Sequence[str],
    policy_config: Path | None,
    *,
    evidence: bool,
) -> Report:
    """A report on what the arguments of a command name.

    Raises:
        SpecError: the spec is not valid.
        Failure: what is named can't be judged.
    """
    from mlops_policies import Judge, selected
    from mlops_policies.reports import Report
    from mlops_policies.settings import Settings

    chosen = usable(lambda: selected(packs))
    document = _configured(policy_config)
    with _without_collection():
        found, subject, locate, notes = _subject(target, environment, stack, state)
        place = environment or found.name
        settings: Settings = usable(lambda: Settings.read(document, environment=place), policy_config)
        judgement = usable(lambda: Judge(chosen, settings, evidence=evidence).judgement(found))
    judgement.notes.extend(notes)
    if not found.resources:
        judgement.notes.append("nothing was judged: there are no resources")
    return Report(judgement, str(subject), locate, place, _digests(subject))


def _subject(
    target: Path, environment: str | None, stack: str | None, state: Path | None
) -> tuple[Stack, Path, Callable[[Result], Location], Sequence[str]]:
    """The stack, what it was read from, where to mend results, and what could not be seen."""
    from mlops_policies.reports import Location

    if target == DEFAULT and not target.exists() and Path("Pulumi.yaml").exists():
        target = Path()
    is_program = state is None and (target.suffix == ".py" or target.is_dir())
    if stack is not None and not is_program:
        hint = "A state names its stack, and a spec has environments: --environment."
        raise Failure("--stack is for programs", hint=hint, code=ExitCode.USAGE)
    if state is not None:
        if target not in (DEFAULT, Path()):
            raise Failure(f"--state {state} and {target} exclude each other", code=ExitCode.USAGE)
        from mlops_policies.sources import state as exported

        return usable(lambda: exported.read(state)), state, lambda _: Location(str(state)), ()
    from pulumi_mlops.cli import render

    if is_program:
        if environment is not None:
            hint = "Choose the stack whose configuration names the environment: --stack."
            raise Failure("a program chooses its environment itself", hint=hint, code=ExitCode.USAGE)
        made = render.program(target, stack)

        def in_program(result: Result) -> Location:
            file, line = made.sources.get(result.resource.urn if result.resource else "", (made.file, None))
            return Location(file, line, field=result.field)

        return made.stack, target, in_program, made.notes
    from mlops_policies.reports.location import SpecLocations
    from pulumi_mlops.spec import document
    from pulumi_mlops.spec.loader import load

    made = render.spec(load(target, environment), target)
    locate = SpecLocations(document.read(target, str(target)), environment, made.stack)
    return made.stack, target, locate, made.notes


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Collect no garbage meanwhile: importing a provider's package makes a million objects that all stay, and looking
    through them again and again takes longer than judging."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _configured(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise Failure(f"{path} can't be read: {(error.strerror or str(error)).lower()}") from None
    except (UnicodeDecodeError, yaml.YAMLError):
        raise Failure(f"{path} is neither JSON nor YAML") from None
    if not isinstance(document, dict):
        raise Failure(f"{path}: expected a mapping of rules to levels", hint="`mlops rules --schema` describes it.")
    return document


def usable(read: Callable[[], _T], file: Path | None = None) -> _T:
    """What was read, perhaps from a file; settings and states that can't be used end the command."""
    from mlops_policies import SettingsError
    from mlops_policies.sources.state import StateError

    try:
        return read()
    except (SettingsError, StateError) as error:
        raise Failure(f"{file}: {error}" if file else str(error)) from None


def _digests(subject: Path) -> dict[str, str]:
    """What was judged, to the bit: digest of the file, and commit of the repository."""
    digests = {} if subject.is_dir() else {"file": f"sha256:{sha256(subject.read_bytes()).hexdigest()}"}
    folder = subject if subject.is_dir() else subject.parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return digests
    return {**digests, "commit": f"{commit} with local changes" if changed else commit}


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder.absolute()), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def _written(report: Report, kind: Format) -> str:
    match kind:
        case Format.TEXT:
            from mlops_policies.reports.text import lines

            return "\n".join(lines(report))
        case Format.JSON:
            return json.dumps(report.as_json(), indent=2, ensure_ascii=False)
        case Format.SARIF:
            from mlops_policies.reports import sarif

            return json.dumps(sarif.document(report), indent=2, ensure_ascii=False)
        case Format.JUNIT:
            from mlops_policies.reports import junit

            return junit.document(report)


def _write(output: Path | None, text: str) -> None:
    text = text.rstrip("\n")
    if output is None:
        print_text(text)
    else:
        write(output, f"{text}\n")
