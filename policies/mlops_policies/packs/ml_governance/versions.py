"""Which versions reach production: registered, approved, unchanged, of known provenance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, mlops, serving, workflows
from mlops_policies.kinds.labels import has_label
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.several import some
from mlops_policies.values import NotApplicable

rule = pack("ml-governance")

_PACKAGE: Final = "modelPackageName"
_LOADS_NONE: Final = "no container of it loads a model"


class Registries(Parameters):
    """Parameters of `model-registered`."""

    prefixes: tuple[str, ...] = ("model-registry://", "models:/", "mlflow-artifacts:/", "oci://")
    """Beginnings of addresses that lie in a registry of models: Kubeflow's, MLflow's, an OCI registry. Add those of
    your own registry's storage."""


@rule(
    mlops.ENDPOINT,
    *serving.SERVED,
    graph=True,
    severity="high",
    remediation="Serve a version of a registry: `modelPackageName` in SageMaker; in KServe a registry's address, or "
    "the label `model-version-id` of the registered version.",
    references={
        "eu-ai-act": ["Annex IV(1)(a)"],
        "nist-ai-rmf": ["GOVERN 1.6"],
        "iso-42001": ["A.4.2"],
        "sr-26-2": ["VI. Model inventory"],
        "prowler": ["sagemaker_models_registry_in_use", "AISF-ML-04"],
    },
    parameters=Registries,
)
def model_registered(served: Resource, stack: Stack, parameters: Registries) -> Iterator[Finding]:
    """Every model that is served is a version of a registry.

    Our endpoints serve versions of the ModelRegistry of their model. A container without a model of its own (a
    pre-processing step of an inference pipeline) is not judged.
    """
    if served.type == mlops.ENDPOINT:
        name = served.text("model")
        if not any(registry.text("model") == name for registry in stack.of(mlops.REGISTRY)):
            yield served.finding("no registry of the program holds the model that it serves", "model", field="registry")
    elif not has_label(served, "model-version-id", "registered-model-id"):
        found = (place for container in serving.containers(served) for place in _loaded(container))
        for part, name in some(found, _LOADS_NONE):
            if name != _PACKAGE and not (part.text(name) or "").startswith(parameters.prefixes):
                yield part.finding("the model is taken from storage, and not from a model registry", name)


def _loaded(container: View) -> Iterator[tuple[View, str]]:
    if container.has(_PACKAGE):
        yield container, _PACKAGE
    else:
        yield from serving.artefacts(container)


class Production(Parameters):
    """Parameters of `model-approval-gate`."""

    environments: tuple[str, ...] = mlops.PRODUCTION
    """Environments where a person approves each version, as patterns: the spec's environment, or where it has none the
    Pulumi stack's name. Models of high risk are approved by a person everywhere."""


@rule(
    mlops.REGISTRY,
    *aws.PIPELINE,
    *aws.MODEL_PACKAGE,
    graph=True,
    severity="critical",
    remediation="Set `registry.approval: manual` and name approvers other than the owner; in SageMaker register "
    "versions as PendingManualApproval.",
    references={
        "eu-ai-act": ["Art. 17(1)(a)", "Art. 17(1)(c)"],
        "nist-ai-rmf": ["MANAGE 1.1"],
        "iso-42001": ["A.6.2.5"],
        "sr-26-2": ["III. Effective challenge"],
        "soc2": ["CC8.1"],
    },
    parameters=Production,
)
def model_approval_gate(subject: Resource, stack: Stack, parameters: Production) -> Iterator[Finding]:
    """Production is reached only by approval of a person who is not the owner.

    Outside production, and unless the risk is high, automatic approval is accepted: `evaluation-gate-before-deploy`
    asks for floors before it. Where approvers are named, one of them must not be the owner; where none are, the
    registry refuses the owner alone.
    """
    if subject.type == mlops.REGISTRY:
        yield from _approvers(subject)
        automatic = subject.text("approval") != "manual"
    elif subject.type in aws.PIPELINE:
        automatic = workflows.approves(subject)
    else:
        automatic = subject.text("modelApprovalStatus") == "Approved"
    if not automatic:
        return
    if mlops.high_risk(stack, subject):
        why = "its risk is high"
    elif mlops.in_production(stack, subject, parameters.environments):
        why = f"{mlops.environment(stack, subject)} is production"
    else:
        raise NotApplicable(f"{mlops.environment(stack, subject)} is not production, and the risk is not high")
    at = "approval" if subject.type == mlops.REGISTRY else ""
    yield subject.finding(f"versions are approved without a person, and {why}", at, field="registry.approval")


def _approvers(registry: Resource) -> Iterator[Finding]:
    owner = (registry.text("owner") or "").strip().casefold()
    approvers = [name.strip().casefold() for name in registry.texts("approvers")]
    if approvers and all(name == owner for name in approvers):
        yield registry.finding("only the owner may approve versions", "approvers", field="registry.approvers")


@rule(
    mlops.ENDPOINT,
    *serving.SERVED,
    severity="high",
    remediation="Name a version, a revision or a digest in the address of the model.",
    references={
        "eu-ai-act": ["Annex IV(1)(a)"],
        "iso-42001": ["A.6.2.5"],
        "gmlp": ["Principle 2"],
        "soc2": ["CC8.1"],
    },
)
def deploy_immutable_version(served: Resource) -> Iterator[Finding]:
    """What is served can't change under its name: it is a version or a digest, never "latest".

    Our endpoints serve bundles by their digest. Images are `image-pinned-digest`'s matter.
    """
    if served.type == mlops.ENDPOINT:
        mlops.answers(served)
        if served.text("immutableVersions") != "digest":
            yield served.finding(
                "what is served is not pinned by a digest", "immutableVersions", field=_endpoint(served)
            )
        return
    artefacts = (place for container in serving.containers(served) for place in serving.artefacts(container))
    for part, name in some(artefacts, _LOADS_NONE):
        if why := serving.movable(part.text(name) or ""):
            yield part.finding(f"the model's address may come to mean another model: {why}", name)


@rule(
    mlops.REGISTRY,
    *serving.SERVED,
    severity="medium",
    remediation="Label the resource with `supplier` and `licence`, and name the revision of the model.",
    references={
        "eu-ai-act": ["Annex IV(2)(a)"],
        "nist-ai-rmf": ["GOVERN 6.1", "MANAGE 3.2"],
        "iso-42001": ["A.10.3"],
        "sr-26-2": ["VII. Third-party products"],
    },
)
def third_party_model_provenance(served: Resource) -> Iterator[Finding]:
    """A model that others made has a supplier, a licence and a fixed revision on record.

    Such models are those of the Hugging Face hub (an `hf://` address, or the variable `HF_MODEL_ID`) and of SageMaker
    JumpStart. Our registries hold models trained by the stack itself, and state the licence under which they are given
    on.
    """
    if served.type == mlops.REGISTRY:
        if not served.has("licence"):
            yield served.finding("no licence is stated", "licence", field="identity.licence")
        return
    at = "metadata.annotations" if served.type.startswith("kubernetes:") else "tags"
    found = [container for container in serving.containers(served) if _third_party(container)]
    if not found:
        raise NotApplicable("no model from a public hub is served")
    for container in found:
        missing = [
            name
            for name, others in (("supplier", ("vendor",)), ("licence", ("license",)))
            if not has_label(served, name, *others)
        ]
        if missing:
            yield served.finding(f"a model made by others is served without a label {' and '.join(missing)}", at)
        hub, revision = (serving.variable(container, f"HF_MODEL_{name}") for name in ("ID", "REVISION"))
        if hub is not None and revision is None:
            yield container.finding("no revision of the model is named in HF_MODEL_REVISION", "environment")


def _third_party(container: View) -> bool:
    if serving.variable(container, "HF_MODEL_ID") is not None:
        return True
    addresses = (part.text(name) or "" for part, name in serving.artefacts(container))
    return any(address.startswith(("hf://", "s3://jumpstart-")) for address in addresses)


def _endpoint(endpoint: View) -> str:
    return f"endpoints[{endpoint.text('endpoint')}]"
