"""Secrets: none in plain text where others can read it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, kubernetes
from mlops_policies.kinds.jobs import MONITORING, TRAINING, Work, jobs
from mlops_policies.registry import pack
from mlops_policies.resources import Resource, View
from mlops_policies.several import thorough
from mlops_policies.values import Secret
from pulumi_mlops.spec.credentials import kind_of_secret, looks_secret

rule = pack("security")

_REFERENCE: Final = re.compile(
    r"(arn:aws|\{\{resolve:|\$\(|\$\{|env:|file:|pulumi:|vault:|ssm:|secretsmanager:|/(run|var|etc|mnt|opt|tmp|secrets)/)\S*"
    r"|true|false",
    re.IGNORECASE,
)
"""Where a secret is found, or whether there is one: no secret itself."""


@rule(
    *aws.MODEL,
    *aws.PROCESSING_JOB,
    *TRAINING,
    *MONITORING,
    *aws.LAMBDA_FUNCTION,
    *aws.TASK_DEFINITION,
    *kubernetes.WORKLOADS,
    severity="critical",
    remediation="Keep it in Secrets Manager, Parameter Store or a Secret, and give the process a reference to it.",
    references={
        "checkov": ["CKV_AWS_45"],
        "prowler": ["AISF-DATA-05"],
        "nsa-hardening": ["C-0012"],
        "hipaa": ["164.312(d)"],
        "gdpr": ["Art. 32(1)(b)"],
        "soc2": ["CC6.1"],
        "gmlp": ["Principle 2"],
    },
    quotes=False,
)
def no_plaintext_secret_env(workload: Resource) -> Iterator[Finding]:
    """No environment variable holds a secret.

    Whoever may describe a model, a job, a function or a pod reads its variables. A variable is at fault whose value
    has the shape of a credential, or is marked as a secret of the program, or whose name says that it is one while its
    value is no reference (`valueFrom`, `secrets` of ECS, an ARN, the path of a file). Judged are the containers of
    SageMaker's models and jobs, also in pipelines and state machines, Lambda functions, containers of ECS, and pods.
    """
    variables = thorough(_variables(holder, path) for holder, path in _environments(workload))
    yield from thorough(_exposed(name, value) for name, value in variables)


def _environments(workload: Resource) -> Iterator[tuple[View, str]]:
    """Where variables are: the part and its property, which is a mapping or a list of name and value."""
    if workload.type.startswith("kubernetes:"):
        for pod in kubernetes.pods(workload):
            yield from ((container, "env") for container in kubernetes.containers(pod))
    elif workload.type in aws.LAMBDA_FUNCTION:
        yield workload, "environment.variables"
    elif workload.type in aws.TASK_DEFINITION:
        yield from ((container, "environment") for container in workload.json("containerDefinitions").each())
    else:
        for job in jobs(workload):
            if job.shape.work is Work.MODEL:
                yield from ((container, "environment") for container in job.containers())
            else:
                yield job, "environment"
            if application := job.shape.image.rpartition(".")[0]:
                yield job, f"{application}.environment"


def _variables(holder: View, path: str) -> Iterator[tuple[str, View]]:
    values = holder.value(path)
    if type(values) is Secret and isinstance(values.value, Mapping):
        yield from (
            (_name(key), View(holder.resource, Secret(inner), holder.at(path))) for key, inner in values.value.items()
        )
    elif keys := holder.keys(path):
        yield from ((_name(key), View(holder.resource, values.get(key), holder.at(path))) for key in keys)
    else:
        for item in holder.each(path):
            yield item.text("name") or "", View(holder.resource, item.value("value"), item.at("value"))


def _exposed(name: str, variable: View) -> Iterator[Finding]:
    value = variable.value()
    if type(value) is Secret:
        yield variable.finding(f"the variable {name} holds a secret, which the service keeps in plain text")
        return
    text = variable.text() or ""
    if kind := kind_of_secret(text):
        yield variable.finding(f"the variable {name} holds what looks like {kind}")
    elif text and _names_secret(name) and not _REFERENCE.fullmatch(text):
        yield variable.finding(f"the variable {name} is named after a secret and holds one in plain text")


def _name(key: Any) -> str:
    # Documents come with names that begin with a small letter: aPI_KEY.
    name = str(key)
    return name.upper() if name[1:].isupper() else name


_HARMLESS: Final = frozenset(("clientToken", "clientRequestToken", "idempotencyToken", "creationToken"))
"""Tokens that make a request idempotent."""

_WELL_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "aws:secretsmanager/secretVersion:SecretVersion": ("secretString", "secretBinary"),
    "aws-native:secretsmanager:Secret": ("secretString",),
    "aws:kms/externalKey:ExternalKey": ("keyMaterialBase64",),
    "aws:elasticache/user:User": ("passwords",),
    "kubernetes:core/v1:Secret": ("data", "stringData"),
    "mlops-local:index:SecretFile": ("value",),
}
"""Inputs that are secret, and whose names do not say so."""


@rule(
    "*",
    severity="critical",
    remediation="Take the value from `pulumi config set --secret`, or wrap it in `pulumi.Output.secret`.",
    references={"soc2": ["CC6.1"], "gdpr": ["Art. 32(1)(b)"]},
    quotes=False,
)
def secret_inputs_marked(resource: Resource) -> Iterator[Finding]:
    """Secret inputs are marked as secret.

    Pulumi encrypts in its state, and hides in its output, what is marked as secret; any other value stands there for
    everybody who may read the state. Inputs of any resource are judged at any depth if their names say that they are
    passwords, tokens or keys, and some that are known to be secret (`secretString`, the data of a Secret). References
    are no secrets; in Kubernetes, neither are `…Secret` and `…Key`, which name a Secret and a key in it. Variables of
    processes are left to `no-plaintext-secret-env`: marking them is not enough.
    """
    yield from thorough(_unmarked(found) for found in _secrets(resource))


def _secrets(resource: Resource) -> Iterator[View]:
    if not isinstance(resource.props, Mapping):
        resource.known()
        return
    for path in _WELL_KNOWN.get(resource.type, ()):
        yield from _leaves(View(resource, resource.value(path), path))
    if resource.type == "aws:ssm/parameter:Parameter" and resource.value("type") == "SecureString":
        yield View(resource, resource.value("value"), "value")
    objects = resource.type.startswith("kubernetes:")
    skipped = "environment" if resource.type in no_plaintext_secret_env.on else ""
    for key, path, value in _named_secrets(resource.props, "", skipped):
        if not (objects and key.endswith(("secret", "Secret", "Key"))):
            yield View(resource, value, path)


def _named_secrets(node: Any, path: str, skipped: str) -> Iterator[tuple[str, str, Any]]:
    """Name, path and value of each input whose name says that it is a secret."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node)
    for key, inner in items:
        if isinstance(inner, Mapping | list):
            if key != skipped:
                yield from _named_secrets(inner, f"{path}{key}.", skipped)
        elif isinstance(key, str) and inner is not None and key not in _HARMLESS and _names_secret(key):
            yield key, f"{path}{key}", inner


def _leaves(view: View) -> Iterator[View]:
    if isinstance(view.node, Mapping | list):
        items = view.node.items() if isinstance(view.node, Mapping) else enumerate(view.node)
        for key, inner in items:
            yield from _leaves(View(view.resource, inner, view.at(str(key))))
    elif view.node is not None:
        yield view


def _unmarked(found: View) -> Iterator[Finding]:
    value = found.value()
    if type(value) is not Secret and (text := found.text()) and not _REFERENCE.fullmatch(text):
        yield found.finding(f"{found.path} is secret, and is not marked so")


@lru_cache(maxsize=4096)
def _names_secret(name: str) -> bool:
    return looks_secret("", (name,))
