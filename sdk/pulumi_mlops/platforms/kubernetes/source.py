"""The user's code, as files of a ConfigMap."""

from __future__ import annotations

from pathlib import Path

import pulumi

from mlops_runtime.code import digest_of_code, included_files
from mlops_runtime.definition import DataDefinition
from pulumi_mlops.platforms.definition import absolute
from pulumi_mlops.platforms.revision import commit_of
from pulumi_mlops.spec.code import Code


class Source:
    """The user's code on this machine.

    Arguments:
        declared: the spec's `code` section.
        directory: folder that its relative paths start from.
        definition: the pipeline definition, for pods.
    """

    def __init__(self, declared: Code, directory: Path, definition: DataDefinition) -> None:
        self._directory = absolute(declared.directory, directory)
        here = definition.code.model_copy(update={"directory": self._directory})
        self._definition = definition.model_copy(update={"code": here})

    def digest(self) -> str:
        """Digest of names and contents, as the runtime computes it."""
        return digest_of_code(self._definition)

    def files(self, name: str) -> dict[str, str]:
        """Texts by path below the code's folder.

        Arguments:
            name: component that they belong to, named in errors.

        Raises:
            pulumi.RunError: the folder is not there, or a file is not a text.
        """
        if not self._directory.is_dir():
            raise pulumi.RunError(f"{name}: code.directory {self._directory} is not a folder")
        found = {}
        for path, file in included_files(self._definition):
            try:
                found[path] = file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                raise pulumi.RunError(
                    f"{name}: {file} is not a text (UTF-8); code.include is for source files. Put data into a bucket "
                    "or into the job image, and leave it out of code.include"
                ) from None
        return found

    def commit(self) -> str | None:
        """The last commit that touched the code; see `revision.commit_of`."""
        return commit_of(self._directory)
