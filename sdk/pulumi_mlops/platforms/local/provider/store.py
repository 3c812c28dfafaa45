"""The data directory, and secrets in it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from mlops_runtime.stores.layout import MARKER, Store, write_atomically
from pulumi_mlops.platforms.local.provider.handler import Context, Handler, Properties, ProviderError

_UNUSABLE: Final = re.compile(r"\s[;#]|[*?\[\]\r\n]")
"""Parts of a path that begin comments in supervisord's configuration, or mean more than themselves in the patterns and
database URLs of Polars, DuckDB and SQLAlchemy."""


class StoreHandler(Handler):
    """`mlops-local:index:Store`: made where missing; data and models outlive the resource."""

    token = "mlops-local:index:Store"  # noqa: S105 - a type token

    def check(self, inputs: Properties, old: Properties | None) -> dict[str, str]:
        """Refuse a folder that can't be written, and one that holds something else."""
        root = Path(inputs["root"])
        if not root.is_absolute():
            return {"root": f"expected an absolute path, found {root}"}
        if found := _UNUSABLE.search(str(root)):
            return {"root": f"{root}: {found[0]!r} can't be in the path of a data directory; choose another data_dir"}
        nearest = next(path for path in (root, *root.parents) if path.exists())
        if not nearest.is_dir():
            return {"root": f"{nearest} is a file; platform.local.data_dir must name a folder"}
        if root.is_dir() and not (root / MARKER).exists() and any(root.iterdir()):
            return {"root": f"{root} is not empty and not a store; name another folder in platform.local.data_dir"}
        if not os.access(nearest, os.W_OK):
            return {"root": f"{nearest} can't be written; change its permissions or platform.local.data_dir"}
        return {}

    def create(self, inputs: Properties, context: Context) -> tuple[str, Properties]:
        """Make the folder and its marker."""
        try:
            Store(Path(inputs["root"])).create()
        except OSError as error:
            raise ProviderError(f"the data directory can't be made: {error}") from error
        return inputs["root"], inputs

    def read(self, identifier: str, state: Properties) -> Properties | None:
        """Gone where the marker is gone."""
        return state if (Path(identifier) / MARKER).exists() else None

    def drift(self, state: Properties, inputs: Properties) -> set[str]:
        """A store that somebody deleted is made again."""
        return set() if (Path(inputs["root"]) / MARKER).exists() else {"exists"}

    def update(self, identifier: str, state: Properties, inputs: Properties, context: Context) -> Properties:
        """Make it again where it is gone."""
        return self.create(inputs, context)[1]

    def delete(self, identifier: str, state: Properties, context: Context) -> None:
        """Data and models stay; `make down PURGE=1` removes them."""
        context.say(f"data and models stay in {identifier}")


class SecretFileHandler(Handler):
    """`mlops-local:index:SecretFile`: a secret where services find it, readable by its owner only."""

    token = "mlops-local:index:SecretFile"  # noqa: S105 - a type token
    immutable = frozenset({"root", "key"})

    def preview(self, inputs: Properties) -> Properties:
        """The path is known before the file is written."""
        return {**inputs, "path": str(_path(inputs))}

    def create(self, inputs: Properties, context: Context) -> tuple[str, Properties]:
        """Write the file."""
        path = _path(inputs)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, inputs["value"], mode=0o600)
        return str(path), self.preview(inputs)

    def read(self, identifier: str, state: Properties) -> Properties | None:
        """Gone where the file is gone; a changed content is read back, as a secret."""
        path = Path(identifier)
        return {**state, "value": path.read_text()} if path.exists() else None

    def drift(self, state: Properties, inputs: Properties) -> set[str]:
        """A file that was changed or deleted is written again."""
        path = _path(inputs)
        return set() if path.exists() and path.read_text() == inputs["value"] else {"value"}

    def update(self, identifier: str, state: Properties, inputs: Properties, context: Context) -> Properties:
        """Write the file again."""
        return self.create(inputs, context)[1]

    def delete(self, identifier: str, state: Properties, context: Context) -> None:
        """Remove the file."""
        Path(identifier).unlink(missing_ok=True)


def _path(inputs: Properties) -> Path:
    return Path(inputs["root"]) / "secrets" / str(inputs["key"])
