"""Who owns the model, what it is for, and where it must not be used."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pulumi_mlops.spec.base import Name, Section


class Identity(Section):
    """The model's identity card; all of it goes into the model card and onto every recorded run."""

    name: Name
    """Name of the model; the experiment, the registered model and the components carry it."""

    owner: Annotated[str, StringConstraints(min_length=1)]
    """Person who answers for the model. The owner can't approve the model's versions."""

    contact: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    """E-mail address for questions and incidents. Default: none."""

    purpose: Annotated[str, StringConstraints(min_length=1)]
    """What decisions the model supports, in a sentence."""

    risk_tier: Literal["minimal", "limited", "high"] = "minimal"
    """Risk tier after the EU AI Act (Regulation 2024/1689): minimal, limited (Art. 50) or high (Art. 6). A high-risk
    model needs manual approval (Art. 14, human oversight). Default: minimal."""

    limitations: list[str] = Field(default_factory=list)
    """Uses for which the model is not fit. Default: none stated."""

    licence: Annotated[str, StringConstraints(min_length=1)] = "proprietary"
    """SPDX identifier of the licence that exported models carry. Default: proprietary."""

    tags: dict[str, str] = Field(default_factory=dict)
    """Labels on runs and model versions. Default: none."""
