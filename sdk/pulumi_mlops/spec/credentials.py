"""Finding credentials that were written into a spec.

Findings name the field and the kind of credential, and never quote the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from pydantic import BaseModel

from pulumi_mlops.spec.base import REFERENCE
from pulumi_mlops.spec.errors import FieldPath, Problem

_HINT: Final = (
    "Take it out, replace the credential where it was issued, and refer to it: env:NAME, file:PATH, pulumi:KEY or "
    "secret:NAME/KEY."
)

# The shapes are the issuers' own published ones.
_SHAPES: Final = {
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a JSON web token": re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*"),
    "a GitHub token": re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,})"),
    "a GitLab token": re.compile(r"\bglpat-[\w-]{20,}"),
    "a Slack token": re.compile(r"\bxox[abeoprs]-[\w-]{10,}"),
    "a Google API key": re.compile(r"\bAIza[\w-]{35}"),
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    "an OpenAI or Anthropic key": re.compile(r"\bsk-[\w-]{20,}"),
    "a Stripe key": re.compile(r"\b[sr]k_(live|test)_[A-Za-z0-9]{16,}"),
    "a PyPI token": re.compile(r"\bpypi-[\w-]{20,}"),
    "a webhook address that is itself a credential": re.compile(
        r"hooks\.slack\.com/(services|workflows|triggers)/\S|discord(app)?\.com/api/webhooks/\S|webhook\.office\.com/\S"
    ),
    "a password in a connection string": re.compile(
        r"\b(host|user|uid|dbname|database|server)\s*=.*[\s;](password|pwd)\s*=\s*[^\s;]", re.IGNORECASE
    ),
    # user:password@host, also where the password holds / or @, which libraries accept
    "a password in a URL": re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^/?#\s:@]{0,200}:\S+@"),
}
_NAMES: Final = (
    r"pass(word|wd|phrase)?|pwd|secret([_-]?(access[_-]?)?key)?|token|credentials?|"
    r"(api|access|account|private|shared[_-]?access|subscription)[_-]?key"
)
_PARAMETER: Final = re.compile(
    rf"[?&;](?:[\w-]{{0,40}}[_-])?(?:{_NAMES}|key|code|sig|signature|access_?token)=[^&;\s]", re.IGNORECASE
)
_KEY: Final = re.compile(rf"(?:.*[_.-])?(?:{_NAMES})|.*(?:password|passwd|secret)", re.IGNORECASE)


def kind_of_secret(text: str) -> str | None:
    """What kind of credential a text looks like, or None."""
    readable = unquote(text)
    for candidate in {text, readable}:
        for name, shape in _SHAPES.items():
            if shape.search(candidate):
                return name
        if "://" in candidate and _PARAMETER.search(candidate):
            return "a credential in a URL"
    return None


def looks_secret(text: str, path: FieldPath = ()) -> bool:
    """Whether a text must not be shown: it looks like a credential, or it stands where one belongs."""
    return kind_of_secret(text) is not None or any(_named_secret(step) for step in path)


def problems(data: Any) -> Iterator[Problem]:
    """Every literal credential in the data of a spec: in values, in keys, and under keys that name one."""
    yield from _walk(data, ())


def _walk(data: Any, path: FieldPath) -> Iterator[Problem]:
    if isinstance(data, BaseModel):
        data = {name: getattr(data, name) for name in data.model_fields_set}
    if isinstance(data, Mapping):
        for key, value in data.items():
            if kind := kind_of_secret(str(key)):
                # The key would be quoted as a part of the path: only its section is named.
                yield Problem("MLOPS-S023", path, f"a key looks like {kind}", hint=_HINT)
            else:
                yield from _walk(value, (*path, str(key)))
    elif isinstance(data, list | tuple):
        for i, value in enumerate(data):
            yield from _walk(value, (*path, i))
    elif isinstance(data, str):
        yield from _text(data, path)
    elif isinstance(data, int) and not isinstance(data, bool) and path and re.search(r"(?i)passw|pwd", str(path[-1])):
        yield Problem("MLOPS-S023", path, "this key names a credential, and its value is written out", hint=_HINT)


def _text(text: str, path: FieldPath) -> Iterator[Problem]:
    if kind := kind_of_secret(text):
        yield Problem("MLOPS-S023", path, f"this looks like {kind}", hint=_HINT)
    elif text and _named_secret(path[-1] if path else "") and not re.fullmatch(REFERENCE, text):
        yield Problem("MLOPS-S023", path, "this key names a credential, and its value is written out", hint=_HINT)


def _named_secret(step: str | int) -> bool:
    return isinstance(step, str) and _KEY.fullmatch(re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", step)) is not None
