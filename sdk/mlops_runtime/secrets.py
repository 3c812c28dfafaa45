"""Secrets, found by reference; a secret itself is never in a spec, a definition or a log."""

from __future__ import annotations

import os
from pathlib import Path

from mlops_runtime.errors import BadInputError


def resolve(reference: str) -> str:
    """Value of a secret.

    Arguments:
        reference: `env:NAME` (environment variable) or `file:PATH` (content of a file, without trailing line break).

    Raises:
        BadInputError: the reference has another form, or there is nothing where it points.
    """
    kind, _, where = reference.partition(":")
    match kind:
        case "env":
            if (value := os.environ.get(where)) is None:
                raise BadInputError(f"the secret {reference} is missing: set the environment variable {where}")
            return value
        case "file":
            try:
                return Path(where).expanduser().read_text().rstrip("\r\n")
            except OSError as error:
                raise BadInputError(
                    f"the secret {reference} can't be read: {error.strerror}; write it to {where} with mode 0600"
                ) from error
        case _:
            raise BadInputError(
                f"the secret reference {kind}:… is not known to a pipeline step; use env:NAME or file:PATH"
            )
