"""What a step is: typed outputs, a folder of its own, skipped when its inputs have not changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from mlops_runtime.definition import Definition
from mlops_runtime.stores.layout import Store, write_atomically


class Outputs(BaseModel):
    """What a step hands to the steps after it; subclasses name their fields. Paths are absolute."""

    model_config = ConfigDict(frozen=True)


OutputsT = TypeVar("OutputsT", bound=Outputs)


def report_nothing(_: str) -> None:
    """Report no progress."""


def publish_nothing(_: Path) -> None:
    """Leave a folder where it is: the store itself is what others read."""


@dataclass
class Run:
    """One run of the pipeline.

    Arguments:
        id: identifier, unique for the model (`20261121T113000-1a2b3c4d`).
        definition: the pipeline definition.
        trigger: what started the run (`up`, `manual`, `schedule`, `drift:NAME`, `new-data:SOURCE`).
        requested_by: the person or service that asked for it.
        progress: called with a line of text whenever there is something to tell a person.
        git_commit: commit of the user's code, or None where there is none.
        publish: called with a folder of the store which others must find from now on, before a record speaks of it.
    """

    id: str
    definition: Definition
    trigger: str = "manual"
    requested_by: str = "unknown"
    progress: Callable[[str], None] = field(default=report_nothing, repr=False)
    git_commit: str | None = None
    publish: Callable[[Path], None] = field(default=publish_nothing, repr=False)

    @property
    def store(self) -> Store:
        """The store that the run reads and writes."""
        return Store(self.definition.store)

    @property
    def directory(self) -> Path:
        """The run's folder."""
        return self.store.runs(self.definition.identity.name) / self.id

    def outputs(self, step: str, kind: type[OutputsT]) -> OutputsT:
        """Outputs of a finished step.

        Raises:
            FileNotFoundError: the step has not finished in this run.
        """
        record = json.loads((self.directory / step / "step.json").read_text())
        return kind.model_validate(record["outputs"])


@dataclass(frozen=True)
class Step(Generic[OutputsT]):
    """A step of the pipeline.

    Arguments:
        name: the step's name, also its command and its folder.
        run: does the work in `run.directory / name`, which exists; returns the outputs.
        outputs: type of the outputs.
        inputs: what the result depends on, as JSON values; a finished step with the same inputs is not run again.
    """

    name: str
    run: Callable[[Run], OutputsT]
    outputs: type[OutputsT]
    inputs: Callable[[Run], dict[str, Any]]

    def execute(self, run: Run) -> OutputsT:
        """Run the step, or take the outputs of the same step with the same inputs in this run's folder.

        Raises:
            StepError: the step can't go on; see its subclasses.
        """
        folder = run.directory / self.name
        record = folder / "step.json"
        digest = digest_of(self.inputs(run))
        if record.exists():
            done = json.loads(record.read_text())
            if done["inputs"] == digest:
                run.progress(f"{self.name}: already done")
                return self.outputs.model_validate(done["outputs"])
        folder.mkdir(parents=True, exist_ok=True)
        result = self.run(run)
        write_atomically(
            record,
            json.dumps({"step": self.name, "inputs": digest, "outputs": result.model_dump(mode="json")}, indent=2),
        )
        return result


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form (sorted keys, no white space), as `sha256:<hex>`."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as `sha256:<hex>`."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
