"""Answers of AWS that moto can't give: recorded by hand after the API reference, and checked against its model.

with recorded({("iam", "SimulatePrincipalPolicy"): answer}) as asked: ...   # every client that is made meanwhile
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from unittest.mock import patch

import botocore.client
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters

Answer: TypeAlias = Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any] | ClientError] | ClientError
"""What is answered: the parsed answer, an error, or what a request is answered with."""


@dataclass(frozen=True)
class Request:
    """A request that was answered from the record.

    Arguments:
        service, operation: what was asked.
        parameters: with what.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]


@contextmanager
def recorded(answers: Mapping[tuple[str, str], Answer]) -> Iterator[list[Request]]:
    """Answer some operations from a record; all others go where they would.

    Requests are validated by botocore before they come here, and answers by the shape of the operation's output.

    Arguments:
        answers: by service (as boto3 names it) and operation.
    """
    asked: list[Request] = []
    real = botocore.client.BaseClient._make_api_call

    def call(client: Any, operation: str, parameters: Mapping[str, Any]) -> Any:
        service = client.meta.service_model.service_name
        if (answer := answers.get((service, operation))) is None:
            return real(client, operation, parameters)
        model = client.meta.service_model.operation_model(operation)
        validate_parameters(parameters, model.input_shape)
        asked.append(Request(service, operation, parameters))
        found = answer(parameters) if callable(answer) else answer
        if isinstance(found, ClientError):
            raise found
        if model.output_shape is not None:  # as of a deletion
            validate_parameters(found, model.output_shape)
        return dict(found)

    with patch.object(botocore.client.BaseClient, "_make_api_call", call):
        yield asked


def refusal(code: str, message: str, operation: str = "Operation") -> ClientError:
    """An error as AWS answers it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)
