"""What the owner declares about a model, in the audit log."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from mlops_runtime.stores.audit import AuditEntry
from mlops_runtime.stores.control import Control
from mlops_runtime.stores.layout import Store
from pulumi_mlops.platforms.local.provider.handler import Context, Handler, Properties

_ACTION: Final = "govern"


class GovernanceRecordHandler(Handler):
    """`mlops-local:index:GovernanceRecord`: the last entry `govern` of a model is what its owner declares now."""

    token = "mlops-local:index:GovernanceRecord"  # noqa: S105 - a type token
    immutable = frozenset({"root", "model"})

    def preview(self, inputs: Properties) -> Properties:
        """The digest is that of the section."""
        return {**inputs, "digest": _digest(inputs)}

    def create(self, inputs: Properties, context: Context) -> tuple[str, Properties]:
        """Append an entry, unless the last one says the same."""
        if not _on_record(inputs):
            details = {"governance": json.loads(inputs["section"]), "digest": _digest(inputs)}
            _control(inputs).audit(inputs["owner"], _ACTION, inputs["model"], details)
        return f"{inputs['root']}#{inputs['model']}", self.preview(inputs)

    def read(self, identifier: str, state: Properties) -> Properties | None:
        """Gone where the audit log's last word is another, as after a restore."""
        return state if _on_record(state) else None

    def drift(self, state: Properties, inputs: Properties) -> set[str]:
        """What is no longer on record is recorded again."""
        return set() if _on_record(inputs) else {"digest"}

    def update(self, identifier: str, state: Properties, inputs: Properties, context: Context) -> Properties:
        """Append an entry; the earlier ones stay."""
        return self.create(inputs, context)[1]

    def delete(self, identifier: str, state: Properties, context: Context) -> None:
        """Append that nothing is declared any more."""
        if _last(state) is not None:
            _control(state).audit(state["owner"], _ACTION, state["model"], {"withdrawn": state["digest"]})


def _digest(inputs: Properties) -> str:
    return "sha256:" + hashlib.sha256(inputs["section"].encode()).hexdigest()


def _on_record(inputs: Properties) -> bool:
    last = _last(inputs)
    return last is not None and (last.actor, last.details.get("digest")) == (inputs["owner"], _digest(inputs))


def _last(inputs: Properties) -> AuditEntry | None:
    if not Store(Path(inputs["root"])).control_db.exists():
        return None
    return next(iter(_control(inputs).audit_log(subject=inputs["model"], action=_ACTION, limit=1)), None)


def _control(inputs: Properties) -> Control:
    return Control(Store(Path(inputs["root"])).control_db)
