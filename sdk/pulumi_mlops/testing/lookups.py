"""Answers to the provider functions that programs call most, without a provider: one account, one region, policy
documents, manifests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import yaml

ACCOUNT = "123456789012"
PARTITION = "aws"
REGION = "us-east-1"
_LISTS = {"actions": "Action", "notActions": "NotAction", "resources": "Resource", "notResources": "NotResource"}

Properties = Mapping[str, Any]


class LookupRefusedError(Exception):
    """Arguments that the real provider refuses too."""


def caller_identity(_: Properties) -> dict[str, Any]:
    """Who asks: always one user of one account."""
    return {
        "accountId": ACCOUNT,
        "arn": f"arn:{PARTITION}:iam::{ACCOUNT}:user/test",
        "id": ACCOUNT,
        "userId": "AIDATESTTESTTESTTESTT",
    }


def region(arguments: Properties) -> dict[str, Any]:
    """The region named, else the one region."""
    name = arguments.get("region") or arguments.get("name") or REGION
    return {"description": name, "endpoint": f"ec2.{name}.amazonaws.com", "id": name, "name": name, "region": name}


def partition(_: Properties) -> dict[str, Any]:
    """The commercial partition."""
    return {
        "dnsSuffix": "amazonaws.com",
        "id": PARTITION,
        "partition": PARTITION,
        "reverseDnsPrefix": "com.amazonaws",
    }


def availability_zones(arguments: Properties) -> dict[str, Any]:
    """Three zones of the region asked for."""
    where = arguments.get("region") or REGION
    left = [letter for letter in "abc" if where + letter not in arguments.get("excludeNames", ())]
    return {
        **arguments,
        "groupNames": [where],
        "id": where,
        "names": [where + letter for letter in left],
        "region": where,
        "zoneIds": [f"use1-az{'abc'.index(letter) + 1}" for letter in left],
    }


def policy_document(arguments: Properties) -> dict[str, Any]:
    """The document that the statements describe.

    As documented of `aws_iam_policy_document`: version 2012-10-17 and effect Allow unless told, single values bare,
    `&{…}` for IAM's own `${…}`, sources first, then statements that replace those of the same `sid`, then overrides.

    Raises:
        LookupRefusedError: a source or override that is not JSON.
    """
    document: dict[str, Any] = {"Version": arguments.get("version") or "2012-10-17"}
    if arguments.get("policyId"):
        document["Id"] = arguments["policyId"]
    statements: list[dict[str, Any]] = []
    for text in (arguments.get("sourceJson"), *arguments.get("sourcePolicyDocuments", ())):
        _merge(statements, _statements(text))
    _merge(statements, [_statement(each) for each in arguments.get("statements", ())])
    for text in (*arguments.get("overridePolicyDocuments", ()), arguments.get("overrideJson")):
        _merge(statements, _statements(text))
    document["Statement"] = statements
    return {
        **arguments,
        "id": "policy",
        "json": json.dumps(document, indent=2),
        "minifiedJson": json.dumps(document, separators=(",", ":")),
    }


def _merge(statements: list[dict[str, Any]], more: list[dict[str, Any]]) -> None:
    places = {each["Sid"]: place for place, each in enumerate(statements) if each.get("Sid")}
    for each in more:
        if each.get("Sid") in places:
            statements[places[each["Sid"]]] = each
        else:
            statements.append(each)


def _statements(text: str | None) -> list[dict[str, Any]]:
    if not text:
        return []
    try:
        found = json.loads(text).get("Statement", [])
    except (json.JSONDecodeError, AttributeError) as error:
        raise LookupRefusedError(f"a policy document to merge must be a JSON object: {error}") from None
    return list(found) if isinstance(found, list) else [found]


def _statement(block: Properties) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": block["sid"]} if block.get("sid") else {}
    statement["Effect"] = block.get("effect") or "Allow"
    for source, target in _LISTS.items():
        if values := block.get(source):
            statement[target] = _values(values)
    for source, target in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if principals := block.get(source):
            statement[target] = _principal(principals)
    if conditions := block.get("conditions"):
        statement["Condition"] = {}
        for each in conditions:
            statement["Condition"].setdefault(each["test"], {})[each["variable"]] = _values(each["values"])
    return statement


def _principal(blocks: list[Properties]) -> str | dict[str, Any]:
    identifiers: dict[str, list[str]] = {}
    for each in blocks:
        identifiers.setdefault(each["type"], []).extend(each["identifiers"])
    if identifiers == {"*": ["*"]}:
        return "*"
    return {kind: _values(values) for kind, values in identifiers.items()}


def _values(values: list[str]) -> str | list[str]:
    told = sorted(value.replace("&{", "${") for value in values)
    return told[0] if len(told) == 1 else told


def secret_version(arguments: Properties) -> dict[str, Any]:
    """A secret whose value is a JSON object with the keys that secrets mostly have."""
    name = arguments.get("secretId") or "secret"
    value = {key: f"{key}-of-{name}" for key in ("key", "password", "token", "username", "value")}
    text = json.dumps({**value, "url": f"https://{name}.example.com/hook"})
    return {**arguments, "id": f"{name}|AWSCURRENT", "secretString": text, "versionStages": ["AWSCURRENT"]}


def manifests(arguments: Properties) -> dict[str, Any]:
    """The objects of a YAML text."""
    return {"result": [each for each in yaml.safe_load_all(arguments.get("text") or "") if each]}


LOOKUPS: Mapping[str, Callable[[Properties], dict[str, Any]]] = {
    "aws:iam/getPolicyDocument:getPolicyDocument": policy_document,
    "aws:index/getAvailabilityZones:getAvailabilityZones": availability_zones,
    "aws:index/getCallerIdentity:getCallerIdentity": caller_identity,
    "aws:index/getPartition:getPartition": partition,
    "aws:index/getRegion:getRegion": region,
    "aws:secretsmanager/getSecretVersion:getSecretVersion": secret_version,
    "kubernetes:yaml:decode": manifests,
}
"""What answers, by token."""


class UnansweredError(LookupError):
    """A function that is answered by a cloud alone."""


def answer(token: str, arguments: Properties) -> dict[str, Any]:
    """The answer to a program that is run without providers.

    Arguments:
        token: the function, as in `aws:index/getRegion:getRegion`.
        arguments: its arguments.

    Raises:
        UnansweredError: there is none.
        LookupRefusedError: the arguments are such as the provider refuses.
    """
    if token not in LOOKUPS:
        raise UnansweredError(f"{token}, which a cloud has to answer")
    configured = pulumi.runtime.get_config("aws:region")
    return LOOKUPS[token]({**({"region": configured} if configured else {}), **arguments})
