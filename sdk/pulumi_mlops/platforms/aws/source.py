"""What all jobs of a model are given: the pipeline definition and the user's code, as objects of the store."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pulumi

from mlops_runtime.code import archive
from mlops_runtime.definition import Definition
from mlops_runtime.steps.base import digest_of
from pulumi_mlops.platforms.aws import edge, feature_store, objects, secrets
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.jobs import STORE
from pulumi_mlops.platforms.aws.objects import Content
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.platforms.definition import Placement, absolute, definition
from pulumi_mlops.platforms.revision import commit_of

DEFINITION: Final = "definition"
CODE: Final = "code"
"""Names of the jobs' inputs."""

FOLDER: Final = PurePosixPath("/opt/ml/processing/code")
"""Where a job unpacks the user's code."""


class Source:
    """The files of a model's jobs; the plan alone decides them, so that every component finds the same.

    Arguments:
        account: where they are kept.
        plan: the pipeline.
    """

    def __init__(self, account: Account, plan: PipelinePlan) -> None:
        self._account, self._plan = account, plan
        self._directory = absolute(plan.code.directory, account.directory)

    @cached_property
    def document(self) -> Definition:
        """The pipeline definition, for jobs."""
        account = self._account

        def secret(declared: str) -> str:
            return secrets.reference(account, declared)

        placement = Placement(
            store=Path(STORE),
            directory=account.directory,
            secret=secret,
            bucket=account.bucket_definition,
            tracking_uri=account.tracking_arn,
            online_store=feature_store.definition(account, self._plan.features),
            signing_key=lambda declared: edge.signing_key(account, self._plan.identity.name, declared.name),
            code=Path(FOLDER),
        )
        return definition(self._plan, placement)

    @cached_property
    def digest(self) -> str:
        """Digest of what decides the model: the code, and the definition but for where and how it runs."""
        return digest_of([self.document.decides_model(), self._code[1]])

    @cached_property
    def commit(self) -> str | None:
        """The last commit that touched the code; see `revision.commit_of`."""
        return commit_of(self._directory)

    @property
    def inputs(self) -> Mapping[str, str]:
        """S3 URI of each input of a job, by name."""
        return {name: content.uri(self._account) for name, content in self._contents.items()}

    def upload(self, parent: pulumi.Resource, name: str) -> list[pulumi.Resource]:
        """Put the files into the store.

        Arguments:
            parent: component that they belong to.
            name: its name.

        Raises:
            pulumi.RunError: the folder of the code is not there.
        """
        if not self._directory.is_dir():
            raise pulumi.RunError(f"{name}: code.directory {self._directory} is not a folder")
        return [
            objects.upload(self._account, parent, f"{name}-{key}", content, self._plan.identity)
            for key, content in self._contents.items()
        ]

    @cached_property
    def _contents(self) -> dict[str, Content]:
        model = self._plan.identity.name
        content, digest = self._code
        return {
            DEFINITION: Content.of(f"definitions/{model}", self.document.model_dump_json()),
            CODE: Content(f"code/{model}/{digest.removeprefix('sha256:')[:_DIGITS]}.tar.gz", content),
        }

    @cached_property
    def _code(self) -> tuple[bytes, str]:
        here: Any = self.document.code.model_copy(update={"directory": self._directory})
        document = self.document.model_copy(update={"code": here})
        with tempfile.TemporaryDirectory() as folder:
            path, digest = archive(document, Path(folder))
            return path.read_bytes(), digest


_DIGITS: Final = 16
