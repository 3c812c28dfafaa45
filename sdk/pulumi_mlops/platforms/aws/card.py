"""The model's card in SageMaker: what is declared of the model as a whole.

Each version's own card, with its metrics and lineage, is made by the pipeline and kept in its bundle and in MLflow.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.registry import Card

_RISK: Final = {"minimal": "Low", "limited": "Medium", "high": "High"}
"""Risk ratings of model cards by the EU AI Act's tiers."""

_LONG: Final = 2048
"""Characters of a field of a card; the schema of model cards says so."""

_SHORT: Final = 1024


def build(account: Account, parent: pulumi.Resource, name: str, written: Card, identity: Identity) -> None:
    """The card; a change of what is declared is a new version of it.

    Arguments:
        account: where it is made.
        parent: component that it belongs to.
        name: its name.
        written: the parts that are written by hand.
        identity: the model.
    """
    aws.sagemaker.ModelCard(
        f"{name}-card",
        model_card_name=account.called(identity.name),
        model_card_status="Draft",  # a person's word, and not the stack's, makes it more
        content=json.dumps(content(written, identity), sort_keys=True),
        security_config={"kms_key_id": account.key_arn},
        tags=account.tags("registry", identity),
        opts=account.options(parent=parent, ignore=["modelCardStatus"], stored=True),
    )


def content(written: Card, identity: Identity) -> dict[str, Any]:
    """The card's content after the JSON schema of SageMaker's model cards."""
    contact = {} if identity.contact is None else {"contact": identity.contact}
    return _given(
        {
            "model_overview": {
                "model_name": identity.name,
                "model_description": identity.purpose[:_SHORT],
                "model_owner": identity.owner[:_SHORT],
            },
            "intended_uses": {
                "purpose_of_model": identity.purpose[:_LONG],
                "intended_uses": (written.intended_users or "")[:_LONG],
                "factors_affecting_model_efficiency": "; ".join(identity.limitations)[:_LONG],
                "risk_rating": _RISK[identity.risk_tier],
                "explanations_for_risk_rating": f"Tier {identity.risk_tier} of the EU AI Act (Regulation 2024/1689)",
            },
            "additional_information": {
                "ethical_considerations": (written.ethical_considerations or "")[:_LONG],
                "caveats_and_recommendations": (written.caveats or "")[:_LONG],
                "custom_details": {"licence": identity.licence, **contact},
            },
        }
    )


def _given(value: dict[str, Any]) -> dict[str, Any]:
    """Without fields that nothing is said in."""
    return {key: _given(inner) if isinstance(inner, dict) else inner for key, inner in value.items() if inner != ""}
