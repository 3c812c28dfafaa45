"""What belongs to an endpoint, by name; commands know it too, without Pulumi."""

from __future__ import annotations

from typing import Any, Final

from pulumi_mlops.platforms.aws.names import NAME, Names

VARIANT: Final = "AllTraffic"
"""Variant of an endpoint that answers clients. Guardrails need the same name in every config."""

SHADOW: Final = "Shadow"
"""Variant of an endpoint that is tried on copies of the requests."""

NOTHING: Final = "none"
"""Value of an endpoint's parameter where no version is deployed yet."""

_NUMBERED: Final = 1 + 7 + 1 + 8
"""Room in the names of models and configs: a package's number (or `leftovers.BY_UP`) and eight digits."""

_STATE_MACHINE: Final = 80
"""Longest name of a state machine."""


def endpoint(names: Names, model: str, name: str) -> str:
    """The endpoint in SageMaker."""
    return names.called(model, name)


def made_beginning(names: Names, model: str, name: str) -> str:
    """Beginning of the names of the models and endpoint configs that deployments, and `up`, make for an endpoint."""
    return names.called(model, name, limit=NAME - _NUMBERED)


def deployment(names: Names, model: str, name: str) -> str:
    """The state machine that deploys versions on an endpoint."""
    return names.called(model, name, "deploy", limit=_STATE_MACHINE)


def deployment_arn(names: Names, model: str, name: str) -> str:
    """ARN of that state machine."""
    return names.arn("states", f"stateMachine:{deployment(names, model, name)}")


def parameter(names: Names, model: str, name: str) -> str:
    """The SSM parameter with the ARN of the model package that is deployed on an endpoint, or `none`."""
    return f"/{names.prefix}/{model}/{name}/deployed"


def group(names: Names, model: str) -> str:
    """The model package group of a model."""
    return names.called(model)


def approved(names: Names, model: str) -> dict[str, Any]:
    """Pattern of EventBridge's events on approved packages of a model."""
    return {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group(names, model)], "ModelApprovalStatus": ["Approved"]},
    }


def follow_up(model: str) -> tuple[str, str]:
    """Parts of the name of the pipeline that follows a deployment (`Names.called`)."""
    return (model, "follow-up")


def scoring(model: str, endpoint: str) -> tuple[str, str, str]:
    """Parts of the name of the pipeline that scores a batch endpoint's table."""
    return (model, "score", endpoint)


def log_group(names: Names, model: str, name: str) -> str:
    """Logs of an endpoint's containers, where SageMaker writes them."""
    return f"/aws/sagemaker/Endpoints/{endpoint(names, model, name)}"
