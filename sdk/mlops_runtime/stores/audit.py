"""The audit log: who did what to which model or endpoint, append-only, each entry chained to the one before it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from mlops_runtime.stores.database import Database, now

_GENESIS = "sha256:" + "0" * 64

_SCHEMA = """
CREATE TABLE IF NOT EXISTS audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at TEXT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  details TEXT NOT NULL,
  previous TEXT NOT NULL,
  digest TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit log is append only'); END;
CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit log is append only'); END;
"""


@dataclass(frozen=True)
class AuditEntry:
    """A line of the audit log.

    Attributes:
        id: number, ascending without gaps.
        at: UTC, ISO 8601.
        actor: the person or service that acted.
        action: what was done (`approve`, `rollback`, `deploy`, `govern`, …).
        subject: what it was done to (`delay/3`, an endpoint).
        details: more, as JSON values.
        digest: SHA-256 of this entry and the previous one's digest.
    """

    id: int
    at: str
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
    digest: str


@dataclass(frozen=True)
class AuditVerdict:
    """Whether the audit log is as it was written.

    Attributes:
        entries: number of entries.
        problem: what was found wrong, or None.
    """

    entries: int
    problem: str | None


class AuditLog(Database):
    """The audit log in a database; its triggers refuse changes and deletions."""

    schema = _SCHEMA

    def audit(self, actor: str, action: str, subject: str, details: dict[str, Any] | None = None) -> AuditEntry:
        """Append to the audit log.

        Args:
            actor: the person or service that acted.
            action: what was done.
            subject: what it was done to.
            details: more, as JSON values.
        """
        text = json.dumps(details or {}, sort_keys=True, separators=(",", ":"))
        with self._transaction() as connection:
            last = connection.execute("SELECT id, digest FROM audit ORDER BY id DESC LIMIT 1").fetchone()
            number, previous = (last["id"] + 1, last["digest"]) if last else (1, _GENESIS)
            fields = (number, now(), actor, action, subject, text)
            digest = _audit_digest(fields, previous)
            connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*fields, previous, digest))
        return AuditEntry(number, fields[1], actor, action, subject, json.loads(text), digest)

    def audit_log(self, *, subject: str | None = None, action: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """Entries of the audit log, the last first; None takes all subjects, or all actions."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT * FROM audit WHERE (:subject IS NULL OR subject = :subject)"
                " AND (:action IS NULL OR action = :action) ORDER BY id DESC LIMIT :limit",
                {"subject": subject, "action": action, "limit": limit},
            ).fetchall()
        return [
            AuditEntry(
                row["id"],
                row["at"],
                row["actor"],
                row["action"],
                row["subject"],
                json.loads(row["details"]),
                row["digest"],
            )
            for row in rows
        ]

    def verify_audit(self) -> AuditVerdict:
        """Check that no entry of the audit log was changed, removed or put in between.

        Each entry has the digest of the one before it, so a change shows unless every later digest was forged too;
        keep a copy of the last digest elsewhere where that must show as well.
        """
        previous, number = _GENESIS, 0
        with self._open() as connection:
            issued = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
            for row in connection.execute("SELECT * FROM audit ORDER BY id"):
                number += 1
                if row["id"] != number:
                    return AuditVerdict(number - 1, f"entry {number} is missing")
                fields = (row["id"], row["at"], row["actor"], row["action"], row["subject"], row["details"])
                if row["previous"] != previous or row["digest"] != _audit_digest(fields, previous):
                    return AuditVerdict(number - 1, f"entry {number} was changed")
                previous = row["digest"]
        if issued is not None and issued[0] > number:
            return AuditVerdict(number, f"entries {number + 1} to {issued[0]} are missing")
        return AuditVerdict(number, None)


def _audit_digest(fields: tuple[Any, ...], previous: str) -> str:
    return "sha256:" + hashlib.sha256(json.dumps([*fields, previous]).encode()).hexdigest()
