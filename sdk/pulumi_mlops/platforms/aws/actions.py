"""What `up` starts and does not wait for: a run of a pipeline, an execution of a state machine.

AWS has no resource for something that is started once; these are, by boto3, with the credentials of the AWS provider's
own chain and the role that the spec assumes. One is started when the resource is made or its digest has changed.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.clients import Clients, MissingError, talking
from pulumi_mlops.platforms.naming import fit
from pulumi_mlops.spec.aws import Aws

_STOPPED_WITHIN: Final = timedelta(minutes=10)
_LOOK_EVERY: Final = timedelta(seconds=5)

_EXECUTION_NAME: Final = 80
"""Longest name of a state machine's execution."""

_GOING: Final = ("Executing", "Stopping")


class _Started(ResourceProvider):
    """Something that is started when its digest changes. Where it is, and by whose rights, is in the properties, so
    that what was started can be stopped after the settings have changed."""

    serialize_as_secret_always: ClassVar[bool] = False  # type: ignore[misc] # the SDK declares an instance's attribute

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Another digest, or another thing to start, is another start; how it is started is not."""
        replaces = [key for key in ("digest", "target") if _olds.get(key) != _news.get(key)]
        given = {key: value for key, value in _news.items() if key != "run_id" and not key.startswith("__")}
        changed = any(_olds.get(key) != value for key, value in given.items())
        # The new one first: what was started before is stopped when the new one waits for it.
        return DiffResult(changes=changed, replaces=replaces, delete_before_replace=False)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Nothing is started: the next start will be with the new settings."""
        return UpdateResult({**_news, **{key: _olds[key] for key in ("run_id",) if key in _olds}})


class PipelineRuns(_Started):
    """Starts executions of a SageMaker pipeline, and stops the one that it has started when it is let go."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Start an execution.

        Raises:
            AwsError: AWS refuses it, or can't be reached.
        """
        with talking(f"a run of the pipeline {props['target']}"):
            started = clients_of(props)("sagemaker").start_pipeline_execution(
                PipelineName=props["target"],
                PipelineParameters=[
                    {"Name": key, "Value": value} for key, value in sorted(props["parameters"].items())
                ],
                PipelineExecutionDescription=f"Started by Pulumi for {props['digest']}",
                # The same for all attempts of this request; going back to an earlier digest is a start of its own.
                ClientRequestToken=uuid.uuid4().hex,
            )
        arn = started["PipelineExecutionArn"]
        return CreateResult(arn, {**props, "run_id": arn.rpartition("/")[2]})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Stop the execution, and wait until it has stopped: SageMaker deletes no pipeline with a run under way.

        Raises:
            AwsError: AWS refuses it, or can't be reached.
            TimeoutError: it does not stop.
        """
        client = clients_of(_props)("sagemaker")
        try:
            with talking(f"the run {_id}"):
                if _status(client, _id) not in _GOING:
                    return
                if _status(client, _id) == "Executing":
                    client.stop_pipeline_execution(PipelineExecutionArn=_id, ClientRequestToken=uuid.uuid4().hex)
                _wait(lambda: _status(client, _id) not in _GOING, f"the run {_id} does not stop")
        except MissingError:
            return


class StateMachineRuns(_Started):
    """Starts executions of a Step Functions state machine."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Start an execution.

        Raises:
            AwsError: AWS refuses it, or can't be reached.
        """
        name = fit(f"{props['name']}-{uuid.uuid4().hex[:8]}", _EXECUTION_NAME)
        with talking(f"an execution of the state machine {props['target']}"):
            started = clients_of(props)("stepfunctions").start_execution(
                stateMachineArn=props["target"], name=name, input=props["input"]
            )
        return CreateResult(started["executionArn"], {**props, "run_id": name})


class PipelineRun(Resource, module="mlops", name="PipelineRun"):
    """A run of a SageMaker pipeline.

    Arguments:
        name: name of the Pulumi resource.
        account: where it is.
        pipeline: the pipeline's name.
        digest: what decides the run; another digest is another run.
        parameters: parameters of the execution.

    Outputs:
        run_id: identifier of the execution.
    """

    run_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        pipeline: pulumi.Input[str],
        digest: pulumi.Input[str],
        parameters: Mapping[str, str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        properties = {**place(account), "target": pipeline, "digest": digest, "parameters": dict(parameters)}
        super().__init__(PipelineRuns(), name, {**properties, "run_id": None}, own(opts))


class StateMachineRun(Resource, module="mlops", name="StateMachineRun"):
    """An execution of a Step Functions state machine.

    Arguments:
        name: name of the Pulumi resource.
        account: where it is.
        state_machine: the state machine's ARN.
        digest: what decides the execution; another digest is another one.
        input: the execution's input, JSON.
        called: beginning of the execution's name.

    Outputs:
        run_id: name of the execution.
    """

    run_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        state_machine: pulumi.Input[str],
        digest: pulumi.Input[str],
        input: pulumi.Input[str],
        called: str,
        opts: pulumi.ResourceOptions,
    ) -> None:
        properties = {
            **place(account),
            "target": state_machine,
            "digest": digest,
            "input": input,
            "name": called,
        }
        super().__init__(StateMachineRuns(), name, {**properties, "run_id": None}, own(opts))


def place(account: Account) -> dict[str, Any]:
    """Where a resource of ours is and by whose rights, as its properties: what `clients_of` takes."""
    settings = account.settings
    return {"account": settings.account, "region": settings.region, "assume_role": settings.assume_role}


def own(opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    """The options of a resource whose provider is ours, and not that of AWS."""
    return pulumi.ResourceOptions(
        parent=opts.parent, depends_on=opts.depends_on, ignore_changes=opts.ignore_changes, protect=opts.protect
    )


def clients_of(props: Mapping[str, Any]) -> Clients:
    """Clients of AWS where a resource of ours is.

    Arguments:
        props: its properties; see `place`.

    Raises:
        AwsError: there are no credentials, they are refused, or they are another account's.
    """
    # The rest of the section has no bearing on how AWS is talked to.
    settings = Aws.model_construct(**{key: props[key] for key in ("account", "region")})
    clients = Clients(settings.model_copy(update={"assume_role": props.get("assume_role")}))
    clients.identity()
    return clients


def _status(client: Any, arn: str) -> str:
    return str(client.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"])


def _wait(ended: Callable[[], bool], else_: str) -> None:
    until = time.monotonic() + _STOPPED_WITHIN.total_seconds()
    while not ended():
        if time.monotonic() > until:
            raise TimeoutError(f"{else_}; look at it in the console of SageMaker, then try again")
        time.sleep(_LOOK_EVERY.total_seconds())
