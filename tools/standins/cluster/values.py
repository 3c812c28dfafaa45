"""Kubernetes objects in the protocol's values and back: whole numbers, secrets, what is not known yet."""

from __future__ import annotations

from typing import Any

from google.protobuf import struct_pb2
from pulumi.runtime.rpc import UNKNOWN, _special_secret_sig, _special_sig_key

Document = dict[str, Any]
_HIDDEN = ("data", "stringData")


def document(struct: struct_pb2.Struct) -> Document:
    """The object in `struct`; what is not known yet is `UNKNOWN`, and secrets are as plain as the rest."""
    return {key: _plain(value) for key, value in struct.fields.items() if not key.startswith("__")}


def struct(of: Document) -> struct_pb2.Struct:
    """The protocol's form of an object; a Secret's data are secret."""
    shown = dict(of)
    if of.get("kind") == "Secret" and of.get("apiVersion") == "v1":
        for key in _HIDDEN:
            if key in shown:
                shown[key] = {_special_sig_key: _special_secret_sig, "value": shown[key]}
    result = struct_pb2.Struct()
    result.update(shown)
    return result


def known(value: Any) -> Any:
    """`value` without what is not known yet."""
    if isinstance(value, dict):
        return {key: known(each) for key, each in value.items() if each != UNKNOWN}
    if isinstance(value, list):
        return [known(each) for each in value if each != UNKNOWN]
    return value


def _plain(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        fields = value.struct_value.fields
        if _special_sig_key in fields:
            return _plain(fields["value"]) if "value" in fields else UNKNOWN
        return {key: _plain(each) for key, each in fields.items()}
    if kind == "list_value":
        return [_plain(each) for each in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return None if kind in (None, "null_value") else getattr(value, kind)
