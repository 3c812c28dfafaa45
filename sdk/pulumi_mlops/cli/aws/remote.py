"""A stack in an AWS account, as the commands find it: by its spec and the caller's credentials."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime.definition import Bucket
from mlops_runtime.stores.layout import Store
from pulumi_mlops.platforms.aws import endpoint_names
from pulumi_mlops.platforms.aws.clients import AwsError, Clients, found, talking
from pulumi_mlops.platforms.aws.names import Names
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.endpoints import RestEndpoint

if TYPE_CHECKING:
    from mlops_runtime.stores.bucket import ObjectStore
    from mlops_runtime.stores.deployments import Change, Deployment
    from mlops_runtime.stores.tracking import Tracking
    from pulumi_mlops.spec.model import Spec


@dataclass
class Remote:
    """A spec whose platform is an AWS account.

    Arguments:
        spec: the spec, in its environment.
        connect: gives the clients of an account.

    Raises (all methods):
        AwsError: AWS refuses, or can't be reached.
    """

    spec: Spec
    connect: Callable[[Aws], Clients] = field(default=lambda settings: Clients(settings))

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.spec.identity.name

    @property
    def settings(self) -> Aws:
        """The spec's `platform.aws` section."""
        settings = self.spec.platform.aws
        assert settings is not None, "the spec's platform is aws"
        return settings

    @cached_property
    def names(self) -> Names:
        """What things are called."""
        return Names(self.settings)

    @property
    def pipeline(self) -> str:
        """The model's pipeline in SageMaker."""
        return self.names.called(self.model)

    @cached_property
    def clients(self) -> Clients:
        """Clients, of the spec's account and nobody else's."""
        made = self.connect(self.settings)
        made.identity()
        return made

    @property
    def sagemaker(self) -> Any:
        """SageMaker's client."""
        return self.clients("sagemaker")

    @property
    def rest(self) -> list[RestEndpoint]:
        """The endpoints that answer requests."""
        return [endpoint for endpoint in self.spec.endpoints if isinstance(endpoint, RestEndpoint)]

    def endpoint(self, name: str) -> str:
        """An endpoint in SageMaker, by its name in the spec."""
        return endpoint_names.endpoint(self.names, self.model, name)

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Let libraries that make clients of their own (the store's, MLflow's plugin) act as the caller does.

        The variables are as they were when it ends.
        """
        changed = self.clients.environment()
        before = {name: os.environ.get(name) for name in changed}
        try:
            os.environ.update(changed)
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    @cached_property
    def objects(self) -> ObjectStore:
        """The store's objects."""
        from mlops_runtime.stores.bucket import ObjectStore

        return ObjectStore(Bucket(uri=f"s3://{self.names.store_bucket()}/{self.names.prefix}", endpoint_url=None))

    @property
    def tracking_uri(self) -> str:
        """MLflow's address, as its plugin for SageMaker reads it."""
        return self.names.tracking_server()

    @contextmanager
    def tracking(self) -> Iterator[Tracking]:
        """Runs and versions, in SageMaker's MLflow.

        Raises:
            StepError: it can't be reached.
        """
        from mlops_runtime.stores.tracking import Tracking

        # Nothing is written there: artefacts are the pipeline's.
        with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
            yield Tracking(Store(Path(folder)), self.model, uri=self.tracking_uri)

    def scoring(self, endpoint: str) -> str:
        """The pipeline that scores a batch endpoint's table."""
        return self.names.called(*endpoint_names.scoring(self.model, endpoint))

    def document(self, path: str) -> Any:
        """A JSON document of the store; None where there is none.

        Arguments:
            path: its path in the store.
        """
        if self.objects.head(path) is None:
            return None
        try:
            return json.loads(self.objects.read(path))
        except ValueError as error:
            raise AwsError(f"{self.objects.uri_of(path)} is not JSON: {error}") from error

    def manifest(self, version: int) -> dict[str, Any] | None:
        """What a version's bundle says; None where the bundle is gone."""
        made: dict[str, Any] | None = self.document(f"bundles/{self.model}/{version}/manifest.json")
        return made

    def deployed(self, endpoint: str) -> Deployment | None:
        """The version that an endpoint serves, as the last deployment has noted it; None where there was none."""
        from mlops_runtime.stores import deployments

        with self._deployments(endpoint) as store:
            return deployments.current(store, endpoint)

    def history(self, endpoint: str) -> list[Change]:
        """Changes of an endpoint's deployment, oldest first."""
        from mlops_runtime.stores import deployments

        with self._deployments(endpoint) as store:
            return deployments.history(store, endpoint)

    def described(self, endpoint: str) -> dict[str, Any] | None:
        """An endpoint as SageMaker describes it; None where it was not made yet."""
        name = self.endpoint(endpoint)
        answer: dict[str, Any] | None = found(
            f"endpoint {name}", lambda: self.sagemaker.describe_endpoint(EndpointName=name)
        )
        return answer

    def start(self, pipeline: str, parameters: dict[str, str]) -> str:
        """Start a pipeline, and return the execution's ARN.

        Raises:
            MissingError: there is no such pipeline.
        """
        listed = [{"Name": key, "Value": value} for key, value in parameters.items()]
        with talking(f"pipeline {pipeline}"):
            answer = self.sagemaker.start_pipeline_execution(PipelineName=pipeline, PipelineParameters=listed)
        return str(answer["PipelineExecutionArn"])

    @contextmanager
    def _deployments(self, endpoint: str) -> Iterator[Store]:
        """A folder with the files of an endpoint's deployments, in the form that the runtime reads."""
        with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
            store = Store(Path(folder))
            pointer = store.deployment(endpoint)
            for file in (pointer, pointer.with_suffix(".history.jsonl")):
                path = file.relative_to(store.root).as_posix()
                if self.objects.head(path) is not None:
                    self.objects.download(path, file)
            yield store
