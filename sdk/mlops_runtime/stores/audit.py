"""The audit log: who did what to which model or endpoint, append-only, each entry chained to the one before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Any, Protocol

from mlops_runtime.stores.database import Database, now

GENESIS = "sha256:" + "0" * 64
"""What the first entry has for the digest of the one before it."""

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


class Audit(Protocol):
    """An audit log, wherever it is kept."""

    def audit(self, actor: str, action: str, subject: str, details: dict[str, Any] | None = None) -> AuditEntry:
        """Append to the audit log.

        Args:
            actor: the person or service that acted.
            action: what was done.
            subject: what it was done to.
            details: more, as JSON values.
        """

    def audit_log(self, *, subject: str | None = None, action: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """Entries of the audit log, the last first; None takes all subjects, or all actions."""

    def verify_audit(self) -> AuditVerdict:
        """Check that no entry of the audit log was changed, removed or put in between.

        Each entry has the digest of the one before it, so a change shows unless every later digest was forged too;
        keep a copy of the last digest elsewhere where that must show as well.
        """


@dataclass(frozen=True)
class Link:
    """An entry as it is kept: with the digest of the one before it, and its details as the text that was digested.

    Attributes:
        id: number, ascending without gaps.
        at: UTC, ISO 8601.
        actor: the person or service that acted.
        action: what was done.
        subject: what it was done to.
        details: more, as JSON text.
        previous: digest of the entry before it, or `GENESIS`.
        digest: SHA-256 of all the rest.
    """

    id: int
    at: str
    actor: str
    action: str
    subject: str
    details: str
    previous: str
    digest: str

    @classmethod
    def after(cls, last: Link | None, actor: str, action: str, subject: str, details: dict[str, Any] | None) -> Link:
        """A new entry, chained to the last one (None: it is the first)."""
        text = json.dumps(details or {}, sort_keys=True, separators=(",", ":"))
        number, previous = (1, GENESIS) if last is None else (last.id + 1, last.digest)
        fields = (number, now(), actor, action, subject, text)
        return cls(*fields, previous, _digest(fields, previous))

    def follows(self, previous: str) -> bool:
        """Whether it is unchanged, and was written after the entry with that digest."""
        fields = (self.id, self.at, self.actor, self.action, self.subject, self.details)
        return self.previous == previous and self.digest == _digest(fields, previous)

    def entry(self) -> AuditEntry:
        """The entry, for readers."""
        details = json.loads(self.details)
        return AuditEntry(self.id, self.at, self.actor, self.action, self.subject, details, self.digest)


class AuditLog(Database):
    """The audit log in a database; its triggers refuse changes and deletions. See `Audit` for its methods."""

    schema = _SCHEMA

    def audit(self, actor: str, action: str, subject: str, details: dict[str, Any] | None = None) -> AuditEntry:
        """Append to the audit log."""
        with self._transaction() as connection:
            last = connection.execute("SELECT * FROM audit ORDER BY id DESC LIMIT 1").fetchone()
            link = Link.after(Link(*last) if last else None, actor, action, subject, details)
            connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", astuple(link))
        return link.entry()

    def audit_log(self, *, subject: str | None = None, action: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """Entries of the audit log, the last first; None takes all subjects, or all actions."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT * FROM audit WHERE (:subject IS NULL OR subject = :subject)"
                " AND (:action IS NULL OR action = :action) ORDER BY id DESC LIMIT :limit",
                {"subject": subject, "action": action, "limit": limit},
            ).fetchall()
        return [Link(*row).entry() for row in rows]

    def verify_audit(self) -> AuditVerdict:
        """Check that no entry of the audit log was changed, removed or put in between."""
        with self._open() as connection:
            issued = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
            verdict = verify_chain(Link(*row) for row in connection.execute("SELECT * FROM audit ORDER BY id"))
        if verdict.problem is None and issued is not None and issued[0] > verdict.entries:
            return AuditVerdict(verdict.entries, f"entries {verdict.entries + 1} to {issued[0]} are missing")
        return verdict


def verify_chain(links: Iterable[Link]) -> AuditVerdict:
    """Check entries in their order, from the first one on."""
    previous, number = GENESIS, 0
    for link in links:
        number += 1
        if link.id != number:
            return AuditVerdict(number - 1, f"entry {number} is missing")
        if not link.follows(previous):
            return AuditVerdict(number - 1, f"entry {number} was changed")
        previous = link.digest
    return AuditVerdict(number, None)


def _digest(fields: tuple[Any, ...], previous: str) -> str:
    return "sha256:" + hashlib.sha256(json.dumps([*fields, previous]).encode()).hexdigest()
