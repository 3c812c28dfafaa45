"""Cases of the rules about how models are trained, evaluated and trained again."""

from __future__ import annotations

import json
from typing import Any

from mlops_policies import Resource
from pulumi_mlops.testing.policy import UNKNOWN, Case, Secret, resource
from tests.unit.policies.ml_governance_kit import (
    HIGH,
    batch,
    dataset,
    endpoint,
    monitor,
    pipeline,
    registry,
    retraining,
    sagemaker,
    stack,
)

SEGMENTS = {"segments": [{"column": "origin", "minRows": 100, "floors": {"roc_auc": 0.5}}]}
BARE = {"segments": [{"column": "origin", "minRows": 100, "floors": {}}]}
NO_FLOORS = {"floors": {}, **BARE}
BIAS = {"bias": {"column": "origin", "threshold": 0.1, "minRows": 100}}
TRAINING = "arn:aws:states:::sagemaker:createTrainingJob.sync"
DEPLOYING = "arn:aws:states:::aws-sdk:sagemaker:updateEndpoint"
WAITING = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
TAGS = {"risk-tier": "high"}

TRAIN = {"Name": "Train", "Type": "Training", "Arguments": {}}
DEPLOY = {"Name": "Deploy", "Type": "Model", "Arguments": {}, "DependsOn": ["Train"]}
FAIL = {"Name": "Stop", "Type": "Fail", "Arguments": {}}


def sagemaker_pipeline(*steps: Any, name: str = "train", **document: Any) -> Resource:
    token = "aws:sagemaker/pipeline:Pipeline"
    return resource(token, name, pipelineDefinition=json.dumps({**document, "Steps": steps}))


def condition(*then: Any, otherwise: Any = (), name: str = "Good", after: Any = ("Train",)) -> dict[str, Any]:
    arguments = {"Conditions": [], "IfSteps": list(then), "ElseSteps": list(otherwise)}
    return {"Name": name, "Type": "Condition", "Arguments": arguments, "DependsOn": list(after)}


def machine(name: str = "train", /, **states: Any) -> Resource:
    document = {"StartAt": next(iter(states)), "States": states}
    return resource("aws:sfn/stateMachine:StateMachine", name, definition=json.dumps(document))


def task(call: str, following: str | None = None, **state: Any) -> dict[str, Any]:
    after = {"End": True} if following is None else {"Next": following}
    return {"Type": "Task", "Resource": call, **after, **state}


def nested(**states: Any) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


def choice(*following: str) -> dict[str, Any]:
    return {"Type": "Choice", "Choices": [{"Next": name} for name in following], "Default": "Stop"}


UNGATED = machine(Train=task(TRAINING, "Deploy"), Deploy=task(DEPLOYING))
GATED = machine(
    "gated", Train=task(TRAINING, "Good"), Good=choice("Deploy"), Deploy=task(DEPLOYING), Stop={"Type": "Fail"}
)


def channel(name: str, uri: Any) -> dict[str, Any]:
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3Uri": uri}}}


def training_step(*channels: Any) -> dict[str, Any]:
    return {**TRAIN, "Arguments": {"InputDataConfig": list(channels)}}


def training_job(**channels: Any) -> Resource:
    inputs = [{"channelName": name, "dataSource": {"s3DataSource": {"s3Uri": uri}}} for name, uri in channels.items()]
    return resource("aws:sagemaker/trainingJob:TrainingJob", "train", inputDataConfigs=inputs)


def schedule(kind: str, **config: Any) -> Resource:
    inputs = {"endpointInput": {"endpointName": "live", "localPath": "/opt/ml/processing/input"}}
    declared = {"monitoringType": kind, "monitoringJobDefinition": {"monitoringInputs": inputs}, **config}
    return resource("aws:sagemaker/monitoringSchedule:MonitoringSchedule", kind, monitoringScheduleConfig=declared)


def bias_job(endpoint_name: str = "live") -> Resource:
    inputs = {"endpointInput": {"endpointName": endpoint_name}}
    return resource("aws-native:sagemaker:ModelBiasJobDefinition", "bias", modelBiasJobInput=inputs)


def native_schedule(job: Resource, kind: str = "ModelBias") -> Resource:
    config = {"monitoringType": kind, "monitoringJobDefinitionName": UNKNOWN}
    token = "aws-native:sagemaker:MonitoringSchedule"
    return resource(token, "watch", refers={"monitoringScheduleConfig": job}, monitoringScheduleConfig=config)


def target(workflow: Resource) -> Resource:
    return resource("aws:cloudwatch/eventTarget:EventTarget", "drift", refers={"arn": workflow})


def scheduled(workflow: Resource) -> Resource:
    token = "aws:scheduler/schedule:Schedule"
    return resource(token, "weekly", refers={"target": workflow}, target={"arn": UNKNOWN, "roleArn": "r"})


def native_rule(workflow: Resource) -> Resource:
    token = "aws-native:events:Rule"
    return resource(token, "drift", refers={"targets": workflow}, targets=[{"arn": UNKNOWN, "id": "1"}])


CASES = {
    "evaluation-gate-before-deploy": Case(
        passing=[
            pipeline(),
            pipeline(evaluation={"floors": {}, **SEGMENTS}),
            sagemaker_pipeline(TRAIN, condition(DEPLOY)),
            sagemaker_pipeline(TRAIN, condition(otherwise=[FAIL]), {**DEPLOY, "DependsOn": ["Good"]}),
            sagemaker_pipeline(
                TRAIN,
                {"Name": "Bias", "Type": "ClarifyCheck", "DependsOn": ["Train"]},
                {"Name": "Report", "Type": "Processing", "DependsOn": ["Bias"]},
                {**DEPLOY, "DependsOn": ["Report"]},
            ),
            GATED,
            machine(Train=task(TRAINING, "Ask"), Ask=task(WAITING, "Deploy"), Deploy=task(DEPLOYING)),
            machine(
                Train=task(TRAINING, "Rollout"),
                Rollout={"Type": "Parallel", "Branches": [nested(Good=choice("Deploy"), Deploy=task(DEPLOYING))]},
            ),
        ],
        failing=[
            pipeline(evaluation=NO_FLOORS),
            pipeline(evaluation={"floors": None}),
            sagemaker_pipeline(TRAIN, DEPLOY),
            sagemaker_pipeline(TRAIN, condition(), {**DEPLOY, "DependsOn": ["Good"]}),
            sagemaker_pipeline(
                TRAIN, {**DEPLOY, "Type": "RegisterModel", "Arguments": {"ModelApprovalStatus": "Approved"}}
            ),
            resource(
                "aws-native:sagemaker:Pipeline",
                pipelineDefinition={"pipelineDefinitionBody": json.dumps({"Steps": [TRAIN, DEPLOY]})},
            ),
            UNGATED,
            machine(Train=task(TRAINING, "Report"), Report=task("lambda", "v1.0"), **{"v1.0": task(DEPLOYING)}),
            machine(
                Train={"Type": "Parallel", "Branches": [nested(Fit=task(TRAINING))], "Next": "Deploy"},
                Deploy=task(DEPLOYING),
            ),
            machine(
                Train=task(TRAINING, "Rollout"),
                Rollout={"Type": "Map", "ItemProcessor": nested(Deploy=task(DEPLOYING))},
            ),
            machine(
                Each={"Type": "Map", "Iterator": nested(Train=task(TRAINING, "Deploy"), Deploy=task(DEPLOYING))},
            ),
            resource("aws-native:stepfunctions:StateMachine", definitionString=UNGATED.props["definition"]),
        ],
        undecided=[
            pipeline(evaluation={"floors": {}, "segments": UNKNOWN}),
            resource("aws:sagemaker/pipeline:Pipeline", pipelineDefinition=UNKNOWN),
            resource("aws:sagemaker/pipeline:Pipeline", pipelineDefinitionS3Location={"bucket": "b"}),
            resource("aws:sfn/stateMachine:StateMachine", definition=UNKNOWN),
            resource("aws:sfn/stateMachine:StateMachine", definition="States:"),
        ],
        set_unknown=[pipeline(evaluation={"floors": {"roc_auc": UNKNOWN}}), pipeline(evaluation={"floors": UNKNOWN})],
        not_applicable=[
            sagemaker_pipeline(DEPLOY),
            sagemaker_pipeline(TRAIN, {**DEPLOY, "Type": "RegisterModel"}),
            machine(Deploy=task(DEPLOYING)),
            pipeline(evaluation=NO_FLOORS, endpoints=[]),
        ],
    ),
    "train-test-isolated": Case(
        passing=[
            [pipeline(), dataset(flights={"timestamp": "asked_at"})],
            [pipeline(split={"strategy": "random", "holdout": 0.2}), dataset(flights={})],
            sagemaker_pipeline(training_step(channel("train", "s3://b/train"), channel("validation", "s3://b/val"))),
            sagemaker_pipeline(
                training_step(channel("train", {"Get": "Steps.S.A"}), channel("test", {"Get": "Steps.S.B"}))
            ),
            training_job(train="s3://b/train", test="s3://b/test"),
        ],
        failing=[
            pipeline(split={"strategy": "time", "holdout": 0}),
            pipeline(split=None),
            [pipeline(split={"strategy": "random", "holdout": 0.2}), dataset(flights={"timestamp": "asked_at"})],
            sagemaker_pipeline(training_step(channel("train", "s3://b/all"), channel("validation", "s3://b/all"))),
            sagemaker_pipeline(
                condition(training_step(channel("training", {"Get": "Parameters.P"}), channel("test", "s3://b/all"))),
                Parameters=[{"Name": "P", "Type": "String", "DefaultValue": "s3://b/all"}],
            ),
            machine(
                Train=task(
                    TRAINING,
                    Parameters={"InputDataConfig": [channel("train", "s3://b/all"), channel("eval", "s3://b/all")]},
                )
            ),
            training_job(train="s3://b/all", test="s3://b/all"),
        ],
        undecided=[training_job(train=UNKNOWN, test=UNKNOWN), pipeline(split=UNKNOWN)],
        not_applicable=[
            machine(Train=task(TRAINING, Parameters={"InputDataConfig": [channel("train", "s3://b/train")]})),
        ],
    ),
    "bias-check-high-risk": Case(
        passing=[
            [registry(**HIGH), pipeline(evaluation=SEGMENTS), endpoint(), monitor(signals=BIAS), batch()],
            [registry(**HIGH), pipeline(model="other", evaluation=BARE), pipeline(evaluation=SEGMENTS)],
            [sagemaker(tags=TAGS), schedule("ModelBias")],
            [sagemaker(tags=TAGS), bias_job(), native_schedule(bias_job())],
        ],
        failing=[
            [registry(**HIGH), pipeline(evaluation=BARE)],
            [registry(**HIGH), pipeline(evaluation=SEGMENTS), endpoint(), monitor()],
            [registry(**HIGH), pipeline(evaluation=SEGMENTS), endpoint()],
            [registry(**HIGH), endpoint(), monitor(endpoint="other", signals=BIAS)],
            sagemaker(tags=TAGS),
            [sagemaker(tags=TAGS), schedule("DataQuality")],
            [sagemaker("other", tags=TAGS), schedule("ModelBias")],
            [sagemaker(tags=TAGS), bias_job("other"), native_schedule(bias_job("other"))],
            [sagemaker(tags={}), stack(**HIGH)],
        ],
        undecided=[
            [registry(riskTier=UNKNOWN), pipeline()],
            sagemaker(tags={"risk-tier": UNKNOWN}),
            [registry(**HIGH), pipeline(evaluation={"segments": UNKNOWN})],
        ],
        set_unknown=[[registry(**HIGH), endpoint(), monitor(signals={"bias": UNKNOWN})]],
        not_applicable=[
            registry(),
            sagemaker(),
            [registry(**HIGH), batch()],
        ],
    ),
    "explainability-high-risk": Case(
        passing=[
            [registry(**HIGH), pipeline()],
            [sagemaker(tags=TAGS), schedule("ModelExplainability")],
        ],
        failing=[
            [registry(**HIGH), pipeline(evaluation={"importance": "none"})],
            [registry(**HIGH), pipeline(evaluation={"importance": None})],
            [sagemaker(tags=TAGS), schedule("ModelBias")],
        ],
        undecided=[[registry(**HIGH), pipeline(evaluation={"importance": UNKNOWN})]],
        not_applicable=[
            registry(),
            [registry(), pipeline(evaluation={"importance": "none"})],
            registry(**HIGH),
        ],
    ),
    "retraining-gated": Case(
        passing=[
            [retraining(), pipeline()],
            [retraining(), pipeline(evaluation=NO_FLOORS)],
            [retraining(), pipeline(evaluation={"champion": False})],
            [retraining(approval="manual"), pipeline(evaluation={**NO_FLOORS, "champion": False})],
            [retraining(), pipeline(evaluation={"floors": {}, "champion": False, **SEGMENTS})],
            [GATED, target(GATED)],
        ],
        failing=[
            retraining(gated=False),
            [retraining(), pipeline(evaluation={**NO_FLOORS, "champion": False})],
            [retraining(triggers=["drift:traffic"]), pipeline(evaluation={**NO_FLOORS, "champion": False})],
            [UNGATED, target(UNGATED)],
            [UNGATED, scheduled(UNGATED)],
            [UNGATED, native_rule(UNGATED)],
            [sagemaker_pipeline(TRAIN, DEPLOY), target(sagemaker_pipeline(TRAIN, DEPLOY))],
        ],
        undecided=[
            retraining(gated=UNKNOWN),
            [
                resource("aws:sfn/stateMachine:StateMachine", "train", definition=Secret("{}")),
                target(resource("aws:sfn/stateMachine:StateMachine", "train")),
            ],
        ],
        not_applicable=[
            [retraining(triggers=["manual"]), pipeline(evaluation={**NO_FLOORS, "champion": False})],
            [UNGATED, target(GATED)],
            [UNGATED, resource("aws:cloudwatch/eventTarget:EventTarget", arn="arn:aws:lambda:f")],
            retraining(),
            [sagemaker_pipeline(DEPLOY), target(sagemaker_pipeline(DEPLOY))],
        ],
    ),
}
