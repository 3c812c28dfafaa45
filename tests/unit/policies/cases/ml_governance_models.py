"""Cases of the rules about identity, approval and provenance of models."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from mlops_policies import Resource, Settings
from mlops_policies.packs.ml_governance.identity import Review
from mlops_policies.packs.ml_governance.versions import Production, Registries
from pulumi_mlops.testing.policy import UNKNOWN, Case, Secret, resource
from tests.unit.policies.ml_governance_kit import (
    HIGH,
    LABELS,
    batch,
    endpoint,
    governance,
    inference_service,
    model,
    registry,
    sagemaker,
    served,
    stack,
)

CARD = {"generated": True, "intendedUsers": "Gates.", "ethicalConsiderations": "None.", "caveats": "Not for crews."}
OVERSIGHT = {"role": "duty manager", "contact": "duty@example.com"}
PACKAGE = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/delay/3"
S3 = "s3://models/delay/7/model.tar.gz"
HUB = {"HF_MODEL_ID": "distilbert/distilbert-base-uncased"}


def registration(status: Any, *parameters: dict[str, str], tags: Any = None) -> Resource:
    """A SageMaker pipeline that registers a version."""
    step = {"Name": "Register", "Type": "RegisterModel", "Arguments": {"ModelApprovalStatus": status}}
    document = json.dumps({"Version": "2020-12-01", "Parameters": list(parameters), "Steps": [step]})
    tags = {"risk-tier": "high"} if tags is None else tags
    return resource("aws:sagemaker/pipeline:Pipeline", "train", pipelineDefinition=document, tags=tags)


def package(status: Any) -> Resource:
    tags = [{"key": "RiskTier", "value": "high"}]
    return resource("aws-native:sagemaker:ModelPackage", "v3", modelApprovalStatus=status, tags=tags)


def hub_model(uri: str, **labels: Any) -> Resource:
    found = served(uri)
    return resource(found.type, "delay", metadata={"labels": labels}, spec=found.props["spec"])


CASES = {
    "model-has-owner": Case(
        passing=[
            registry(),
            sagemaker(tags={"Owner": "ada@example.com"}),
            sagemaker(tags={"team": "ml", "contact": "ml@example.com"}),
            resource("aws:sagemaker/endpoint:Endpoint", provider={"defaultTags": json.dumps({"tags": LABELS})}),
            resource("aws-native:sagemaker:Endpoint", tags=[{"key": "ml:owner", "value": "ada@example.com"}]),
            inference_service(labels={}, annotations={"example.com/owner": "ada", "example.com/contact": "#ml"}),
        ],
        failing=[
            registry(contact=None),
            registry(owner=None),
            sagemaker(tags={"owner": "ada"}),
            sagemaker(tags={"owner": "", "contact": "ml@example.com"}),
            sagemaker(tags=None),
            inference_service(labels={"app": "delay"}),
        ],
        undecided=[sagemaker(tags=UNKNOWN), sagemaker(tags={"owner": UNKNOWN})],
        set_unknown=[registry(contact=UNKNOWN), sagemaker(tags={"owner": UNKNOWN, "contact": UNKNOWN})],
    ),
    "model-has-card": Case(
        passing=[registry(), registry(**HIGH, card=CARD)],
        failing=[
            registry(card={}),
            registry(card=None),
            registry(**HIGH),
            *(registry(**HIGH, card={**CARD, name: ""}) for name in CARD if name != "generated"),
            [registry(), stack(**HIGH)],
        ],
        undecided=[registry(card=UNKNOWN), registry(riskTier=UNKNOWN)],
        set_unknown=[registry(**HIGH, card={**CARD, "caveats": UNKNOWN})],
    ),
    "model-has-intended-purpose": Case(
        passing=[registry()],
        failing=[registry(purpose=""), registry(limitations=[])],
        set_unknown=[registry(purpose=UNKNOWN, limitations=UNKNOWN)],
    ),
    "model-has-risk-tier": Case(
        passing=[registry(), registry(**HIGH), sagemaker(tags={"risk_tier": "Limited"}), inference_service()],
        failing=[
            registry(riskTier=None),
            registry(riskTier="harmless"),
            sagemaker(tags={"owner": "ada"}),
            inference_service(labels={"risk-tier": "some"}),
        ],
        undecided=[registry(riskTier=UNKNOWN), sagemaker(tags={"risk-tier": UNKNOWN})],
    ),
    "human-oversight-declared": Case(
        passing=[
            [registry(**HIGH), governance(oversight=OVERSIGHT)],
            [registry(**HIGH), stack(governance={"oversight": OVERSIGHT})],
            [registry(**HIGH), governance(oversight=OVERSIGHT), governance(model="other")],
        ],
        failing=[
            registry(**HIGH),
            [registry(**HIGH), governance()],
            [registry(**HIGH), governance(oversight={"role": "duty manager"})],
            [registry(**HIGH), governance(model="other", oversight=OVERSIGHT)],
        ],
        undecided=[registry(riskTier=UNKNOWN)],
        set_unknown=[[registry(**HIGH), governance(oversight=UNKNOWN)]],
        not_applicable=[
            registry(),
        ],
    ),
    "model-review-current": Case(
        passing=[
            [registry(), governance(reviewBy="2027-01-31")],
            [registry(), stack(governance={"reviewBy": "2026-12-01"})],
        ],
        failing=[
            registry(),
            [registry(), governance()],
            [registry(), governance(reviewBy="2026-11-30")],
            [registry(), governance(reviewBy="soon")],
        ],
        undecided=[[registry(), governance(reviewBy=UNKNOWN)]],
        settings=Settings(parameters={"model-review-current": Review(today=date(2026, 12, 1))}),
    ),
    "model-registered": Case(
        passing=[
            [endpoint(), registry()],
            model(modelPackageName=PACKAGE),
            model(modelPackageName=PACKAGE, modelDataUrl=S3),
            model(modelDataUrl="s3://registry/delay/3/model.tar.gz"),
            served("model-registry://delay/3"),
            served("s3://registry/delay/3"),
            inference_service(
                {"sklearn": {"storageUri": S3}}, labels={"modelregistry.kubeflow.org/model-version-id": "3"}
            ),
        ],
        failing=[
            endpoint(),
            [endpoint(), registry(model="other")],
            model(modelDataUrl=S3),
            model(modelDataSource={"s3DataSources": [{"s3Uri": S3}]}),
            model(modelDataSource={"s3DataSource": {"s3Uri": S3}}),
            resource("aws:sagemaker/model:Model", containers=[{"modelPackageName": PACKAGE}, {"modelDataUrl": S3}]),
            served("s3://models/delay/3"),
            inference_service({"sklearn": {"storageUri": "pvc://models/delay"}}),
            inference_service({"model": {"storageUris": [{"uri": "s3://models/delay/3"}]}}),
        ],
        undecided=[served(UNKNOWN), resource("aws:sagemaker/model:Model", primaryContainer=UNKNOWN)],
        set_unknown=[model(modelPackageName=UNKNOWN)],
        not_applicable=[
            model(image="preprocess@sha256:0"),
        ],
        settings=Settings(
            parameters={"model-registered": Registries(prefixes=("model-registry://", "s3://registry/"))}
        ),
    ),
    "model-approval-gate": Case(
        passing=[
            [registry(approval="manual", approvers=["grace"]), stack(environment="live-eu")],
            registry(**HIGH, approval="manual"),
            registry(approval="manual", approvers=["ada", "grace"]),
            registration("PendingManualApproval"),
            registration({"Get": "Parameters.Status"}, {"Name": "Status", "DefaultValue": "PendingManualApproval"}),
            package("PendingManualApproval"),
            [package(None), registry(**HIGH, approval="manual")],
        ],
        failing=[
            registry(**HIGH),
            [registry(), stack(**HIGH)],
            [registry(), stack(environment="LIVE-eu")],
            registry(approval="manual", approvers=["Ada "]),
            registration("Approved"),
            registration({"Get": "Parameters.Status"}, {"Name": "Status", "DefaultValue": "Approved"}),
            [registration("Approved", tags={}), registry(**HIGH, approval="manual")],
            package("Approved"),
        ],
        undecided=[registry(approval=UNKNOWN), package(UNKNOWN), registration("Approved", tags=UNKNOWN)],
        not_applicable=[
            registry(),
            [registry(), stack(environment="dev")],
            registration("Approved", tags={"risk-tier": "minimal"}),
            resource("aws:sagemaker/pipeline:Pipeline", "train", pipelineDefinition=json.dumps({"Steps": []})),
        ],
        settings=Settings(parameters={"model-approval-gate": Production(environments=("live-*",))}),
    ),
    "deploy-immutable-version": Case(
        passing=[
            endpoint(),
            model(modelDataUrl=S3),
            served("s3://models/delay/7"),
            served("oci://registry.example.com/delay@sha256:0123"),
            served("hf://distilbert/distilbert-base-uncased:12040ac"),
            served("models:/delay/3"),
        ],
        failing=[
            endpoint(immutableVersions=None),
            model(modelDataUrl="s3://models/delay/latest/model.tar.gz"),
            model(modelDataSource={"s3DataSources": [{"s3Uri": "s3://models/delay-latest/"}]}),
            served("s3://models/delay/LATEST"),
            served("oci://registry.example.com/delay:3"),
            served("hf://distilbert/distilbert-base-uncased"),
            served("models:/delay/Production"),
            served("models:/delay@champion"),
        ],
        undecided=[served(UNKNOWN), endpoint(immutableVersions=UNKNOWN), model(modelDataUrl=Secret(S3))],
        not_applicable=[
            batch(),
            model(image="preprocess@sha256:0"),
        ],
    ),
    "third-party-model-provenance": Case(
        passing=[
            registry(),
            hub_model("hf://org/model:1", supplier="org", licence="MIT"),
            resource(
                "aws:sagemaker/model:Model",
                primaryContainer={"environment": {**HUB, "HF_MODEL_REVISION": "12040ac"}},
                tags={"Supplier": "Hugging Face", "License": "Apache-2.0"},
            ),
        ],
        failing=[
            registry(licence=None),
            hub_model("hf://org/model:1", supplier="org"),
            hub_model("hf://org/model:1", license="MIT"),
            model(modelDataUrl="s3://jumpstart-cache-prod-eu-west-1/model.tar.gz"),
            model(environment={**HUB, "HF_MODEL_REVISION": "12040ac"}),
            resource(
                "aws:sagemaker/model:Model",
                primaryContainer={"environment": HUB},
                tags={"supplier": "Hugging Face", "licence": "Apache-2.0"},
            ),
            inference_service({"containers": [{"env": [{"name": "HF_MODEL_ID", "value": "org/model"}]}]}),
        ],
        undecided=[served(UNKNOWN), inference_service({"containers": [{"env": UNKNOWN}]})],
        set_unknown=[registry(licence=UNKNOWN), hub_model("hf://org/model:1", supplier=UNKNOWN, licence=UNKNOWN)],
        not_applicable=[
            served("s3://models/delay/7"),
        ],
    ),
}
