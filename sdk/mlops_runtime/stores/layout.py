"""Where everything lives in a store (the local platform's data directory)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

MARKER = ".mlops-store"
"""File that says that a folder is a store; nothing is deleted from a folder without it."""

FORMAT = 1
"""Version of the layout, written in the marker."""


@dataclass(frozen=True)
class Store:
    """Paths of a store.

    Arguments:
        root: the data directory.
    """

    root: Path

    def create(self) -> None:
        """Make the folder and its marker; nothing happens where they exist.

        Raises:
            OSError: the folder can't be written.
        """
        # Data may be personal: other users of the machine have no business in it.
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        marker = self.root / MARKER
        if not marker.exists():
            write_atomically(marker, json.dumps({"format": FORMAT}))

    @property
    def tracking_uri(self) -> str:
        """SQLAlchemy URL of the MLflow tracking and registry database."""
        return f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """MLflow's artefacts."""
        return self.root / "artifacts"

    @property
    def control_db(self) -> Path:
        """SQLite database of triggers, schedules and the audit log."""
        return self.root / "control.db"

    @property
    def features(self) -> Path:
        """The feature store."""
        return self.root / "features"

    @property
    def online_db(self) -> Path:
        """SQLite database of the latest feature values."""
        return self.features / "online.db"

    @property
    def services(self) -> Path:
        """Configuration and logs of the supervised services."""
        return self.root / "services"

    def definition(self, model: str) -> Path:
        """The pipeline definition that runs of a model are started with."""
        return self.root / "definitions" / f"{model}.json"

    def snapshots(self, source: str) -> Path:
        """Snapshots of a source, by content digest."""
        return self.root / "snapshots" / source

    def runs(self, model: str) -> Path:
        """Pipeline runs of a model."""
        return self.root / "runs" / model

    def bundles(self, model: str) -> Path:
        """Bundles of a model's registered versions."""
        return self.root / "bundles" / model

    def bundle(self, model: str, version: int) -> Path:
        """Bundle of one version."""
        return self.bundles(model) / str(version)

    @property
    def deployments(self) -> Path:
        """Deployment pointers and their histories."""
        return self.root / "deployments"

    def deployment(self, endpoint: str) -> Path:
        """The deployment pointer of an endpoint."""
        return self.deployments / f"{endpoint}.json"

    def captures(self, endpoint: str) -> Path:
        """Captured requests and answers of an endpoint."""
        return self.root / "captures" / endpoint

    def batch(self, endpoint: str) -> Path:
        """Outputs of a batch endpoint."""
        return self.root / "batch" / endpoint

    def edge(self, endpoint: str) -> Path:
        """Bundles of an edge endpoint, by version."""
        return self.root / "edge" / endpoint

    def monitoring(self, monitor: str) -> Path:
        """Windows, reports and alerts of a monitor."""
        return self.root / "monitoring" / monitor

    @property
    def outbox(self) -> Path:
        """Maildir of alerts by e-mail, where no mail server is set."""
        return self.root / "outbox"


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Arguments:
        path: file; its folder is made where missing.
        text: content.
        mode: permissions of the file.

    Raises:
        OSError: the file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
