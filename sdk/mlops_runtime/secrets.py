"""Secrets, found by reference; a secret itself is never in a spec, a definition or a log."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mlops_runtime.errors import BadInputError


def resolve(reference: str) -> str:
    """Value of a secret.

    Arguments:
        reference: `env:NAME` (environment variable), `file:PATH` (content of a file, without trailing line break) or
            `secretsmanager:NAME/KEY` (a key of a secret of AWS Secrets Manager that is a JSON object).

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
        case "secretsmanager":
            return _from_secrets_manager(where)
        case _:
            raise BadInputError(
                f"the secret reference {kind}:… is not known to a pipeline step; use env:NAME, file:PATH or "
                "secretsmanager:NAME/KEY"
            )


def _from_secrets_manager(where: str) -> str:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    name, _, key = where.rpartition("/")
    region = os.environ.get("AWS_REGION") or None
    try:
        client = boto3.session.Session().client("secretsmanager", region_name=region)
        text = client.get_secret_value(SecretId=name)["SecretString"]
    except (BotoCoreError, ClientError, KeyError) as error:
        reason = "it is binary" if isinstance(error, KeyError) else str(error)
        raise BadInputError(
            f"the secret {name} of AWS Secrets Manager can't be read: {reason}; make it, with the key {key}, and let "
            "the job's role read it (secretsmanager:GetSecretValue)"
        ) from error
    found = _object(text).get(key)
    if not isinstance(found, str):
        # Not chained, and nothing of the content: it is a secret.
        raise BadInputError(
            f"the secret {name} of AWS Secrets Manager has no text at {key}; write {{{key!r}: …}} there"
        )
    return found


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
