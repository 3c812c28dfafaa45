"""What SageMaker gives a job's container and takes from it: folders below /opt/ml.

A processing job has an input in each folder below `processing/input`, a training job a channel in each below
`input/data`; what a processing job hands on is below `processing/output`, and why a training job failed is in
`output/failure`.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from mlops_runtime.errors import BadInputError
from mlops_runtime.stores.layout import write_atomically

BASE: Final = "SAGEMAKER_BASE_DIR"
"""Environment variable that names another folder than /opt/ml, as in SageMaker's own toolkits."""

OUTPUTS: Final = "outputs.json"

_FAILURE: Final = 1024
"""Characters that SageMaker shows of a failure."""


@dataclass(frozen=True)
class Container:
    """A job's container.

    Arguments:
        root: where SageMaker's folders are.
    """

    root: Path

    @classmethod
    def here(cls) -> Container:
        """The container that this process runs in."""
        return cls(Path(os.environ.get(BASE, "/opt/ml")))

    @property
    def is_training(self) -> bool:
        """Whether it is a training job's: such have a configuration of their channels."""
        return (self.root / "input" / "config" / "inputdataconfig.json").exists()

    def input(self, name: str) -> Path | None:
        """The file of an input or channel; None where there is no such input.

        Raises:
            BadInputError: there is not exactly one file.
        """
        folder = self.root / ("input/data" if self.is_training else "processing/input") / name
        if not folder.is_dir():
            return None
        files = [path for path in sorted(folder.iterdir()) if path.is_file()]
        if len(files) != 1:
            raise BadInputError(
                f"the input {name} holds {len(files)} files ({folder}); it must be the S3 URI of one object"
            )
        return files[0]

    @cached_property
    def definition(self) -> Path:
        """The pipeline definition with the places of this container: its input `definition`, and the code unpacked.

        Raises:
            BadInputError: there is no such input, or it can't be read.
            OSError: a folder can't be written.
        """
        given = self.input("definition")
        if given is None:
            raise BadInputError("the job has no input `definition`; give it the S3 URI of a pipeline definition")
        try:
            document = json.loads(given.read_bytes())
            document["code"]["directory"] = str(self._code())
            document["store"] = str(self.root / "processing" / "store")
        except (ValueError, TypeError, KeyError) as error:
            raise BadInputError(f"the input `definition` is not a pipeline definition: {error}") from error
        placed = self.root / "processing" / "definition.json"
        write_atomically(placed, json.dumps(document))
        return placed

    def write_outputs(self, values: Mapping[str, Any]) -> None:
        """Hand values to the steps after this one, all as text, which is what a pipeline compares and joins.

        Raises:
            OSError: the file can't be written.
        """
        texts = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in values.items()
            if isinstance(value, bool | int | float | str)
        }
        write_atomically(self.root / "processing" / "output" / OUTPUTS, json.dumps(texts, indent=2))

    def tell_failure(self, message: str) -> None:
        """Leave the reason of a failure where SageMaker shows it, which is in a training job's description."""
        if self.is_training:
            write_atomically(self.root / "output" / "failure", message[:_FAILURE])

    def _code(self) -> Path:
        """The user's code, unpacked; an empty folder where the job has no input `code`."""
        folder, archive = self.root / "processing" / "code", self.input("code")
        folder.mkdir(parents=True, exist_ok=True)
        if archive is not None:
            try:
                with tarfile.open(archive) as tar:
                    tar.extractall(folder, filter="data")
            except tarfile.TarError as error:
                raise BadInputError(f"the input `code` can't be unpacked: {error}") from error
        return folder
