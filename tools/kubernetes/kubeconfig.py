"""Reading a kubeconfig: which API server, as whom, and in which namespace."""

from __future__ import annotations

import base64
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.console import ToolError
from tools.kubernetes.api import Api


@dataclass(frozen=True)
class Connection:
    """What a context of a kubeconfig stands for.

    Attributes:
        api: the API server, as the context's user.
        namespace: of objects that name none; `default` where the context names none.
    """

    api: Api
    namespace: str


def connect(kubeconfig: str, context: str | None = None, warn: Callable[[str, str], None] | None = None) -> Connection:
    """A connection as `kubeconfig` describes it.

    Arguments:
        kubeconfig: the path of a file, or its content.
        context: one of its contexts. Default: the current one.
        warn: see `Api`.

    Raises:
        ToolError: it can't be read, lacks what it refers to, or wants a credential plugin, which is not supported.
    """
    content = _content(kubeconfig)
    name = context or content.get("current-context")
    if not name:
        raise ToolError("kubeconfig: no current-context; name a context")
    chosen = _named(content, "context", name)
    cluster = _named(content, "cluster", chosen.get("cluster"))
    user = _named(content, "user", chosen.get("user"))
    if unsupported := {"exec", "auth-provider", "username"} & set(user):
        raise ToolError(
            f"kubeconfig: user {chosen['user']} has {min(unsupported)}; only certificates and tokens are read"
        )
    authority = _data(cluster, "certificate-authority")
    tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
    certificate, key = _data(user, "client-certificate"), _data(user, "client-key")
    if certificate and key:
        # The standard library reads certificates from files alone.
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            tls.load_cert_chain(file.name)
    headers = {"authorization": f"Bearer {user['token']}"} if "token" in user else {}
    return Connection(Api(cluster["server"].rstrip("/"), tls, headers, warn), chosen.get("namespace") or "default")


def _content(kubeconfig: str) -> dict[str, Any]:
    inline = "\n" in kubeconfig or kubeconfig.lstrip().startswith("{")
    try:
        content = yaml.safe_load(kubeconfig if inline else Path(kubeconfig).expanduser().read_text())
    except OSError as error:
        raise ToolError(f"kubeconfig {kubeconfig}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ToolError("kubeconfig: not YAML") from error
    if not isinstance(content, dict):
        raise ToolError("kubeconfig: not a mapping")
    return content


def _named(content: dict[str, Any], kind: str, name: object) -> dict[str, Any]:
    for each in content.get(f"{kind}s") or ():
        if each.get("name") == name:
            return dict(each[kind])
    raise ToolError(f"kubeconfig: no {kind} {name}")


def _data(section: dict[str, Any], key: str) -> bytes | None:
    if inline := section.get(f"{key}-data"):
        return base64.b64decode(inline)
    return Path(section[key]).read_bytes() if key in section else None
