"""The provider towards the engine: resources of the program become resources of an account that is a folder.

As the real one does: names are made where none is given (and kept), a change is an update or a replacement as
CloudFormation's schemas say, a resource with a name of its own is deleted before it is replaced, a refresh finds what
was changed or deleted behind the engine's back, and what is in use can't be deleted. Not imitated: validation (the
tests of `tests/aws_kit` do that), eventual consistency, time.
"""

# The methods bear the protocol's names, and do what it says of them.
# ruff: noqa: N802, D102

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, TypeVar

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2

from pulumi_mlops.testing import aws
from pulumi_mlops.testing.lookups import ACCOUNT, LOOKUPS, REGION, LookupRefusedError
from tools.console import ToolError
from tools.standins.aws.account import Account, RefusedError, Thing
from tools.standins.aws.replacement import replaces
from tools.standins.plugin import Plugin

Values = dict[str, Any]
Method = TypeVar("Method", bound=Callable[..., Any])

_DEFAULTS = "__defaults"
_HEX_OF_A_NAME = 7


def told(method: Method) -> Method:
    """Turns what AWS would refuse into an error of the protocol."""

    @functools.wraps(method)
    def telling(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except ToolError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{method.__name__.lower()}: {error}")

    return telling  # type: ignore[return-value]


class AwsProvider(Plugin):
    """Makes the resources of a stack in an account.

    Arguments:
        account: the account.
    """

    def __init__(self, account: Account) -> None:
        super().__init__("aws")
        self._account = account
        self._region, self._number = REGION, ACCOUNT

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        changed = request.old_inputs != request.news
        kinds = provider_pb2.DiffResponse
        return kinds(changes=kinds.DIFF_SOME if changed else kinds.DIFF_NONE)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        given = {name.rpartition(":")[2]: value for name, value in request.variables.items()}
        self._region = given.get("region", REGION)
        allowed = json.loads(given.get("allowedAccountIds", "[]"))
        self._number = allowed[0] if allowed else ACCOUNT
        return provider_pb2.ConfigureResponse(supportsPreview=True, acceptSecrets=False, acceptOutputs=False)

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.tok not in LOOKUPS:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stand-in provider has no function {request.tok}")
        try:
            found = LOOKUPS[request.tok]({"region": self._region, **json_format.MessageToDict(request.args)})
        except LookupRefusedError as refusal:
            return provider_pb2.InvokeResponse(failures=[provider_pb2.CheckFailure(reason=str(refusal))])
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").update(found)  # a field by the name of a keyword
        return response

    @told
    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        news, olds = _values(request.news), _values(request.olds)
        named = _named_by(_kind(request.urn))
        if named and named not in news and f"{named}Prefix" not in news:
            suffix = sha256(request.randomSeed).hexdigest() if request.randomSeed else secrets.token_hex()
            kept = olds.get(named) if named in olds.get(_DEFAULTS, ()) else None
            news |= {named: kept or f"{_name(request.urn)}-{suffix[:_HEX_OF_A_NAME]}", _DEFAULTS: [named]}
        return provider_pb2.CheckResponse(inputs=_struct(news))

    @told
    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        old, new = _values(request.old_inputs), _values(request.news)
        kind = _kind(request.urn)
        changed = [path for path in _changes(old, new, ()) if not _ignored(path, request.ignoreChanges)]
        fixed = replaces(kind, changed)
        kinds = provider_pb2.DiffResponse
        return kinds(
            changes=kinds.DIFF_SOME if changed else kinds.DIFF_NONE,
            diffs=sorted({path[0] for path in changed}),
            replaces=sorted(fixed),
            # A name that the program has chosen is taken as long as the old resource is there.
            deleteBeforeReplace=bool(fixed) and _keeps_its_name(kind, old, new),
        )

    @told
    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        inputs = _values(request.properties)
        made = self._outputs(request.urn, inputs)
        if request.preview:
            unknown = dict.fromkeys((key for key in made if key != "id" and key not in inputs), rpc.UNKNOWN)
            return provider_pb2.CreateResponse(properties=_struct({**inputs, **unknown, "id": rpc.UNKNOWN}))
        thing = Thing(_type(request.urn), made["id"], inputs, made)
        self._account.create(thing)
        return provider_pb2.CreateResponse(id=thing.id, properties=_struct({**inputs, **made}))

    @told
    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            thing = self._account.find(_type(request.urn), request.id)
        except RefusedError:
            return provider_pb2.ReadResponse()
        properties = _struct({**thing.inputs, **thing.outputs})
        return provider_pb2.ReadResponse(id=thing.id, properties=properties, inputs=_struct(thing.inputs))

    @told
    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        thing = self._account.find(_type(request.urn), request.id)
        old, new = _values(request.old_inputs), _values(request.news)
        # Only what the program has changed is sent: what somebody else has set meanwhile stays.
        changed = {key: new.get(key) for key in {*old, *new} if old.get(key) != new.get(key)}
        inputs = {key: value for key, value in {**thing.inputs, **changed}.items() if value is not None}
        if not request.preview:
            self._account.change(Thing(thing.type, thing.id, inputs, thing.outputs))
        return provider_pb2.UpdateResponse(properties=_struct({**inputs, **thing.outputs}))

    @told
    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._account.delete(_type(request.urn), request.id)
        return empty_pb2.Empty()

    def _outputs(self, urn: str, inputs: Values) -> Values:
        # Another resource of the same name in the program (its replacement) has ids of its own.
        name = f"{_name(urn)}-{secrets.token_hex(4)}"
        return aws.outputs(_type(urn), name, inputs, account=self._number, region=self._region)


def _type(urn: str) -> str:
    return urn.split("::")[2].split("$")[-1]


def _kind(urn: str) -> str:
    return _type(urn).split(":")[1]


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


def _named_by(kind: str) -> str:
    """The input that names a resource, where AWS knows it by a name; else empty."""
    form = aws.FORMS.get(kind, aws.Form())
    return form.name if form.service and form.id != "own" and form.name != "url" else ""


def _values(struct: struct_pb2.Struct) -> Values:
    return dict(rpc.deserialize_properties(struct, keep_unknowns=True) or {})


def _struct(values: Values) -> struct_pb2.Struct:
    result = struct_pb2.Struct()
    result.update(values)
    return result


def _changes(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Paths of the values that are different; lists are compared as they are."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            if not key.startswith("__"):
                yield from _changes(old.get(key), new.get(key), (*path, key))
    elif old != new:
        yield path


def _ignored(path: tuple[str, ...], ignored: Any) -> bool:
    return any(path[: len(each.split("."))] == tuple(each.split(".")) for each in ignored)


def _keeps_its_name(kind: str, old: Values, new: Values) -> bool:
    name = aws.FORMS.get(kind, aws.Form()).name
    return name in new and name not in new.get(_DEFAULTS, ()) and old.get(name) == new[name]
