"""What SageMaker's Model Monitor runs over captured requests: from bodies of the Open Inference Protocol to flat rows.

SageMaker's image reads CSV and flat JSON, and runs this file before it (Amazon SageMaker AI Developer Guide,
"Preprocessing and postprocessing"). It stands alone: nothing else of ours is in that image.
"""

import json
from typing import Any


def preprocess_handler(inference_record: Any) -> Any:
    """Rows of a captured request, each with its inputs by column and its outputs by name.

    Args:
        inference_record: the captured request and answer, as SageMaker hands them over.
    """
    request = json.loads(inference_record.endpoint_input.data)
    columns = _columns(request["inputs"])
    if inference_record.endpoint_output is not None:
        answer = json.loads(inference_record.endpoint_output.data)
        for output in answer.get("outputs", []):
            rows = output["shape"][0]
            width = len(output["data"]) // rows if rows else 0
            for place in range(width):
                name = output["name"] if width == 1 else "{}_{}".format(output["name"], place)
                columns[name] = output["data"][place::width]
    names = sorted(columns)
    return [dict(zip(names, row)) for row in zip(*(columns[name] for name in names))]  # noqa: B905 - of Python 3.7 too


def _columns(tensors: Any) -> Any:
    found = {}
    for tensor in tensors:
        data = tensor["data"]
        if data and isinstance(data[0], list):
            data = [value for row in data for value in row]
        names = tensor.get("parameters", {}).get("columns") or [tensor["name"]]
        for place, name in enumerate(names):
            found[name] = data[place :: len(names)]
    return found
