"""Resources of the local provider, as a Pulumi program sees them.

The provider itself is `pulumi-resource-mlops-local`, an executable of this distribution; see `provider/`.
"""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

from collections.abc import Mapping, Sequence

import pulumi


class Store(pulumi.CustomResource):
    """The data directory; deleting the resource leaves it.

    Arguments:
        root: path of the folder.
    """

    root: pulumi.Output[str]

    def __init__(self, name: str, *, root: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mlops-local:index:Store", name, {"root": root}, opts)


class GovernanceRecord(pulumi.CustomResource):
    """What a model's owner declares, in the audit log of the store; deleting the resource is recorded there, too.

    Arguments:
        root: the data directory.
        model: name of the model.
        owner: who declares it.
        section: the spec's governance section, JSON.
    """

    digest: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        root: pulumi.Input[str],
        model: str,
        owner: str,
        section: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = {"root": root, "model": model, "owner": owner, "section": section, "digest": None}
        super().__init__("mlops-local:index:GovernanceRecord", name, properties, opts)


class SecretFile(pulumi.CustomResource):
    """A secret in a file that only its owner reads.

    Arguments:
        root: the data directory.
        key: name of the file under `secrets/`.
        value: the secret.
    """

    path: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        root: pulumi.Input[str],
        key: str,
        value: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = {"root": root, "key": key, "value": pulumi.Output.secret(value), "path": None}
        super().__init__("mlops-local:index:SecretFile", name, properties, opts)


class Supervisor(pulumi.CustomResource):
    """The supervisor of the services of a store.

    Arguments:
        root: the data directory.
        log_size: bytes at which logs are rotated.
        logs_kept: rotated logs kept for each service.
    """

    status: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        root: pulumi.Input[str],
        log_size: int,
        logs_kept: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = {"root": root, "log_size": log_size, "logs_kept": logs_kept, "status": None}
        super().__init__("mlops-local:index:Supervisor", name, properties, opts)


class Service(pulumi.CustomResource):
    """A supervised process.

    Arguments:
        root: the data directory.
        service: name of the service.
        arguments: arguments of the Python interpreter; `{config}` stands for the path of the configuration file.
        config: content of the configuration file, JSON.
        port: TCP port on loopback that the service listens on, or None.
        ready_path: path that answers 200 over HTTP when the service is ready, or None.
        environment: variables of the process; no secrets.
        stop_seconds: time between the request to stop and the kill.
    """

    status: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        root: pulumi.Input[str],
        service: str,
        arguments: Sequence[str],
        config: pulumi.Input[str],
        port: int | None = None,
        ready_path: str | None = None,
        environment: Mapping[str, str] | None = None,
        stop_seconds: float = 10.0,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = {
            "root": root,
            "service": service,
            "arguments": list(arguments),
            "config": config,
            "port": port,
            "ready_path": ready_path,
            "environment": dict(environment or {}),
            "stop_seconds": stop_seconds,
            "status": None,
        }
        super().__init__("mlops-local:index:Service", name, properties, opts)


class Dataset(pulumi.CustomResource):
    """Fingerprints of sources, looked at with every preview and `up`.

    Arguments:
        root: the data directory.
        dataset: name of the dataset in the store.
        sources: the sources, as in the pipeline definition, JSON.
        code: the user's code that transforms are found in, as in the pipeline definition, JSON.
    """

    fingerprints: pulumi.Output[Mapping[str, str]]

    def __init__(
        self,
        name: str,
        *,
        root: pulumi.Input[str],
        dataset: str,
        sources: str,
        code: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = {"root": root, "dataset": dataset, "sources": sources, "code": code, "fingerprints": None}
        super().__init__("mlops-local:index:Dataset", name, properties, opts)


class PipelineRun(pulumi.CustomResource):
    """The pipeline, run where its definition, code or data changed.

    Arguments:
        root: the data directory.
        model: name of the model.
        definition: the pipeline definition, JSON.
        code: digest of the user's code.
        fingerprints: digests of the sources' data.
    """

    definition_path: pulumi.Output[str]
    run_id: pulumi.Output[str]
    status: pulumi.Output[str]
    version: pulumi.Output[int | None]

    def __init__(
        self,
        name: str,
        *,
        root: pulumi.Input[str],
        model: str,
        definition: str,
        code: str,
        fingerprints: pulumi.Input[Mapping[str, str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = {
            "root": root,
            "model": model,
            "definition": definition,
            "code": code,
            "fingerprints": fingerprints,
            "definition_path": None,
            "run_id": None,
            "status": None,
            "version": None,
        }
        super().__init__("mlops-local:index:PipelineRun", name, properties, opts)
