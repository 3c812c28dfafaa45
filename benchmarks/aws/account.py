"""`python -m benchmarks.aws.account`: an account by moto that can take the quickstart, over HTTP; prints its address.

What moto lacks is answered here: SageMaker's quotas (as many as anyone asks for) and IAM's simulation (all is allowed).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any, Final
from urllib.parse import parse_qs

REGION: Final = "eu-west-1"
IMAGES: Final = {"mlops/job": "1", "mlops/serving": "1", "mlops/serving-sklearn": "1"}
"""Tags by repository."""

SIMULATED: Final = (
    '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><SimulatePrincipalPolicyResult>'
    "<IsTruncated>false</IsTruncated><EvaluationResults>{}</EvaluationResults></SimulatePrincipalPolicyResult>"
    "</SimulatePrincipalPolicyResponse>"
)
ALLOWED: Final = "<member><EvalActionName>{}</EvalActionName><EvalDecision>allowed</EvalDecision></member>"
USES: Final = ("processing job", "training job", "spot training job", "endpoint")
INSTANCES: Final = ("ml.t3.medium", "ml.m5.large", "ml.m5.xlarge", "ml.c5.large", "ml.c5.xlarge")

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def completed(account: Application) -> Application:
    """An account that answers what moto lacks."""

    def answer(request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        target = request.get("HTTP_X_AMZ_TARGET", "")
        if target.endswith(".ListServiceQuotas"):
            return _told(start, "application/x-amz-json-1.1", json.dumps({"Quotas": _quotas()}))
        if "/iam/" not in request.get("HTTP_AUTHORIZATION", ""):
            return account(request, start)
        body = request["wsgi.input"].read(int(request.get("CONTENT_LENGTH") or 0))
        asked = parse_qs(body.decode())
        if asked.get("Action") == ["SimulatePrincipalPolicy"]:
            names = [value[0] for key, value in asked.items() if key.startswith("ActionNames.")]
            return _told(start, "text/xml", SIMULATED.format("".join(map(ALLOWED.format, names))))
        return account({**request, "wsgi.input": BytesIO(body)}, start)

    return answer


def _quotas() -> list[dict[str, Any]]:
    names = [f"{instance} for {use} usage" for instance in INSTANCES for use in USES]
    return [
        {"ServiceCode": "sagemaker", "QuotaName": name, "QuotaCode": f"L-{number:08X}", "Value": 100.0}
        for number, name in enumerate(names)
    ]


def _told(start: Callable[..., Any], kind: str, text: str) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", kind), ("Content-Length", str(len(text)))])
    return [text.encode()]


def furnish(address: str) -> None:
    """Put the images in the account."""
    import boto3

    ecr = boto3.client(
        "ecr", region_name=REGION, endpoint_url=address, aws_access_key_id="bench", aws_secret_access_key="bench"
    )
    kind = "application/vnd.oci.image.manifest.v1+json"
    for repository, tag in IMAGES.items():
        ecr.create_repository(repositoryName=repository)
        manifest = {"schemaVersion": 2, "mediaType": kind, "layers": [], "config": {"digest": f"sha256:{repository}"}}
        ecr.put_image(repositoryName=repository, imageManifest=json.dumps(manifest), imageTag=tag)


def main() -> None:
    """Serve until the process is ended."""
    from threading import Thread

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, completed(DomainDispatcherApplication(create_backend_app)), threaded=True)
    serving = Thread(target=server.serve_forever)
    serving.start()
    address = f"http://127.0.0.1:{server.server_port}"
    furnish(address)
    print(address, flush=True)
    serving.join()


if __name__ == "__main__":
    main()
