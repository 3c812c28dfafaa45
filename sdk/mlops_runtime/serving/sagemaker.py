"""SageMaker's contract for containers that serve ("Custom Inference Code with Hosting Services").

SageMaker runs the image with the one argument `serve`, brings the bundle to `/opt/ml/model`, asks `GET /ping` whether
the container is well, and sends requests to `POST /invocations` of port 8080. The config comes by an environment
variable, as there is nothing else that a model in SageMaker can carry beside its bundle. SIGTERM is followed by SIGKILL
after 30 seconds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import orjson

from mlops_runtime.serving.config import ConfigError, ServingConfig

CONFIG: Final = "MLOPS_SERVING_CONFIG"
"""Environment variable with the serving config (JSON); SageMaker takes 1,024 characters."""

BUNDLE: Final = "/opt/ml/model"
"""Where the bundle is; an empty folder, or none, means no model yet."""

PORT: Final = 8080
"""Port that SageMaker sends requests to, unless `SAGEMAKER_BIND_TO_PORT` names another."""


def config(environment: Mapping[str, str] = os.environ) -> ServingConfig:
    """The serving config of the container that this is.

    Raises:
        ConfigError: the variable is missing, or what it holds is no config.
    """
    text = environment.get(CONFIG)
    if text is None:
        raise ConfigError(f"give --config FILE, or the config (JSON) in the environment variable {CONFIG}")
    try:
        given: Any = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{CONFIG} is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise ConfigError(f"{CONFIG}: expected an object, got {given!r}")
    port = environment.get("SAGEMAKER_BIND_TO_PORT", str(PORT))
    if not port.isdecimal():
        raise ConfigError(f"SAGEMAKER_BIND_TO_PORT: expected a port, got {port!r}")
    made: dict[str, Any] = {"host": "0.0.0.0", "port": int(port), "bundle": BUNDLE}  # noqa: S104 - the container's own
    return ServingConfig.read({**made, **given, "sagemaker": True}, source=CONFIG)
