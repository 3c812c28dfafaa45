"""Stand-in providers: what the engine starts as `pulumi-resource-aws`, `-aws-native` and `-kubernetes` in tests.

They serve `pulumirpc.ResourceProvider` as the real ones do towards the engine, and keep and reach nothing: outputs are
the inputs, with `id` and `arn` on AWS and a generated `metadata.name` on Kubernetes. Secrets and unknowns pass through
as they came. Not imitated: schemas, validation, replacement, defaults, default tags, remote components.
"""

# The methods bear the protocol's names, and do what it says of them.
# ruff: noqa: N802, D102

from __future__ import annotations

import secrets
import sys
from hashlib import sha256
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2

from pulumi_mlops.testing.lookups import ACCOUNT, LOOKUPS, PARTITION, REGION, LookupRefusedError
from tools.standins.plugin import Plugin, serve

# Services whose ARNs name no region (IAM and S3 name neither region nor, for S3, account).
_GLOBAL = ("cloudfront", "iam", "route53", "s3")


class StandIn(Plugin):
    """Answers the engine for one package.

    Arguments:
        package: `aws`, `aws-native` or `kubernetes`.
    """

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self.Diff(request, context)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ConfigureResponse(supportsPreview=True, acceptSecrets=True, acceptOutputs=False)

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        lookup = LOOKUPS.get(request.tok)
        if lookup is None:
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED,
                f"the stand-in provider has no function {request.tok}; it has {', '.join(sorted(LOOKUPS))}",
            )
        try:
            found = lookup(json_format.MessageToDict(request.args))
        except LookupRefusedError as refusal:
            return provider_pb2.InvokeResponse(failures=[provider_pb2.CheckFailure(reason=str(refusal))])
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").update(found)  # a field by the name of a keyword
        return response

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        inputs = struct_pb2.Struct()
        inputs.CopyFrom(request.news)
        if self.package == "kubernetes":
            _name_object(inputs, request.urn)
        return provider_pb2.CheckResponse(inputs=inputs)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        old, new = request.old_inputs.fields, request.news.fields
        changed = {key for key in {*old, *new} if key not in old or key not in new or old[key] != new[key]}
        changed -= set(request.ignoreChanges)
        kinds = provider_pb2.DiffResponse
        return kinds(changes=kinds.DIFF_SOME if changed else kinds.DIFF_NONE, diffs=sorted(changed))

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.preview:
            return provider_pb2.CreateResponse(properties=self._outputs(request.urn, rpc.UNKNOWN, request.properties))
        identifier = self._identifier(request.urn, request.properties)
        outputs = self._outputs(request.urn, identifier, request.properties)
        return provider_pb2.CreateResponse(id=identifier, properties=outputs)

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        outputs = self._outputs(request.urn, request.id, request.properties)
        return provider_pb2.ReadResponse(id=request.id, properties=outputs, inputs=request.inputs)

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.UpdateResponse(properties=self._outputs(request.urn, request.id, request.news))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def _identifier(self, urn: str, inputs: struct_pb2.Struct) -> str:
        if self.package == "kubernetes":
            # NAMESPACE/NAME, as the real provider's. Indexing an absent key would add a value that no engine can read.
            metadata = inputs.fields["metadata"].struct_value.fields
            return "/".join(metadata[key].string_value for key in ("namespace", "name") if key in metadata)
        return f"{_name(urn)}-{secrets.token_hex(4)}"

    def _outputs(self, urn: str, identifier: str, inputs: struct_pb2.Struct) -> struct_pb2.Struct:
        outputs = struct_pb2.Struct()
        outputs.CopyFrom(inputs)
        if self.package != "kubernetes":
            outputs["id"] = identifier
            outputs["arn"] = identifier if identifier == rpc.UNKNOWN else _arn(urn, identifier)
        return outputs


def _type(urn: str) -> str:
    return urn.split("::")[2].split("$")[-1]


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


def _arn(urn: str, identifier: str) -> str:
    _, module, kind = _type(urn).split(":")
    service = module.split("/")[0]
    region = "" if service in _GLOBAL else REGION
    if service == "s3":
        return f"arn:{PARTITION}:s3:::{identifier}"
    return f"arn:{PARTITION}:{service}:{region}:{ACCOUNT}:{kind[0].lower()}{kind[1:]}/{identifier}"


def _name_object(inputs: struct_pb2.Struct, urn: str) -> None:
    """Names an object that has no name, always alike, as the real provider does with a suffix that it keeps."""
    metadata = inputs.fields["metadata"]
    if (
        metadata.WhichOneof("kind") not in (None, "struct_value")
        or rpc._special_sig_key in metadata.struct_value.fields
    ):
        return  # unknown or secret as a whole
    if "name" not in metadata.struct_value.fields and "generateName" not in metadata.struct_value.fields:
        suffix = sha256(urn.encode()).hexdigest()[:8]
        metadata.struct_value.fields["name"].string_value = f"{_name(urn)}-{suffix}"


if __name__ == "__main__":
    serve(StandIn(sys.argv[1]))
