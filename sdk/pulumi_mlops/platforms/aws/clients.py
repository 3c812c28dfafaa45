"""Clients of AWS for commands: the caller's credentials, the role that the spec assumes, and failures in one line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from mlops_runtime.errors import StepError
from pulumi_mlops.spec.aws import Aws

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 30
_ATTEMPTS: Final = 4
_CONNECTIONS: Final = 32

_SIGN_IN: Final = "sign in (aws sso login), set AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_UNKNOWN: Final = frozenset(
    {
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "AuthFailure",
    }
)
_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "403", "Forbidden"}
)
_THROTTLED: Final = frozenset(
    {
        *("Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException", "SlowDown"),
        *("RequestLimitExceeded", "RequestThrottled", "RequestThrottledException"),
        "PriorRequestNotComplete",
    }
)
_MISSING: Final = frozenset(
    {
        *("404", "NoSuchBucket", "NoSuchEntity", "NoSuchKey", "NotFound", "NotFoundException", "ResourceNotFound"),
        *("ResourceNotFoundException", "RepositoryNotFoundException", "ImageNotFoundException", "ParameterNotFound"),
        *("ExecutionDoesNotExist", "StateMachineDoesNotExist", "InvalidVpcID.NotFound", "InvalidSubnetID.NotFound"),
        *("QueryIdNotFound", "NoSuchResourceException"),
    }
)
_MISSING_WORDS: Final = ("does not exist", "could not find", "cannot find", "can't find", "not found")
"""SageMaker tells of what is missing by a ValidationException and these words."""


class AwsError(StepError):
    """AWS refuses a request, or can't be reached."""


class DeniedError(AwsError):
    """The caller may not do it."""


class MissingError(AwsError):
    """What was asked for is not there."""


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Arguments:
        account: the account.
        arn: the identity, as AWS has authenticated it; of an assumed role with the session's name.
    """

    account: str
    arn: str

    @property
    def principal(self) -> str:
        """ARN of the user or role that policies are attached to (without path: sessions don't tell it)."""
        kind, _, rest = self.arn.partition(":assumed-role/")
        if not rest:
            return self.arn
        return f"{kind.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}"


class Clients:
    """Clients in the account and region of a spec; safe for several threads.

    Arguments:
        settings: the spec's `platform.aws` section; its `assume_role` is assumed before anything is asked.
        endpoint_url: address of every service, for stand-ins. Default: AWS.

    Raises (all methods):
        AwsError: there are no credentials, or they are refused.
    """

    def __init__(self, settings: Aws, endpoint_url: str | None = None) -> None:
        self._settings, self._endpoint_url = settings, endpoint_url
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], Any] = {}

    def __call__(self, service: str, region: str | None = None) -> Any:
        """The client of a service.

        Arguments:
            service: its name in boto3, such as `sagemaker`.
            region: another region than the spec's.
        """
        key = (service, region or self._settings.region)
        with self._lock:  # making a client is not safe for several threads; using one is
            if key not in self._made:
                self._made[key] = self._client(self._session, *key)
            return self._made[key]

    @cached_property
    def caller(self) -> Caller:
        """Who asks: the role that is assumed, where the spec names one."""
        with talking("the caller's identity"):
            found = self("sts").get_caller_identity()
        return Caller(found["Account"], found["Arn"])

    def identity(self) -> Caller:
        """The caller, who must be in the spec's account.

        Raises:
            AwsError: the account is another one.
        """
        if self.caller.account != self._settings.account:
            raise AwsError(
                f"these are credentials of the account {self.caller.account} ({self.caller.arn}), and the spec is for "
                f"{self._settings.account}: choose another profile (AWS_PROFILE), or set platform.aws.assume_role"
            )
        return self.caller

    def environment(self) -> Mapping[str, str]:
        """The region, and the credentials of the role that is assumed, as environment variables: for libraries that
        make clients of their own (MLflow's plugin). The caller's own credentials they find by themselves.

        Secret parts must go nowhere else.
        """
        region = {"AWS_REGION": self._settings.region, "AWS_DEFAULT_REGION": self._settings.region}
        if self._settings.assume_role is None:
            return region
        with talking("credentials"):
            frozen = self._session.get_credentials().get_frozen_credentials()
        return {
            "AWS_ACCESS_KEY_ID": frozen.access_key,
            "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
            "AWS_SESSION_TOKEN": frozen.token,
            **region,
        }

    @cached_property
    def _session(self) -> Any:
        import boto3
        from botocore.exceptions import NoCredentialsError

        with talking("credentials"):
            session = boto3.session.Session(region_name=self._settings.region)
            if session.get_credentials() is None:
                raise NoCredentialsError
            role = self._settings.assume_role
            if role is None:
                return session
        with talking(f"platform.aws.assume_role ({role})"):
            sts = self._client(session, "sts", self._settings.region)
            given = sts.assume_role(RoleArn=role, RoleSessionName=_SESSION)["Credentials"]
        return boto3.session.Session(
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
            region_name=self._settings.region,
        )

    def _client(self, session: Any, service: str, region: str) -> Any:
        from botocore.config import Config

        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            max_pool_connections=_CONNECTIONS,
        )
        return session.client(service, region_name=region, config=config, endpoint_url=self._endpoint_url)


@contextmanager
def talking(what: str) -> Iterator[None]:
    """Tell what AWS refuses in one line, with what mends it.

    Arguments:
        what: what is asked for, as a person knows it.

    Raises:
        DeniedError: the caller may not.
        MissingError: there is no such thing.
        AwsError: anything else.
    """
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        raise _refusal(what, error) from error
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
    ) as error:
        raise AwsError(f"{what}: no AWS credentials were found; {_SIGN_IN}") from error
    except (
        exceptions.UnauthorizedSSOTokenError,
        exceptions.SSOTokenLoadError,
        exceptions.TokenRetrievalError,
    ) as error:
        raise AwsError(f"{what}: the sign-in has expired; run aws sso login") from error
    except exceptions.ProfileNotFound as error:
        raise AwsError(f"{what}: {_line(error)}; set AWS_PROFILE to one of `aws configure list-profiles`") from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise AwsError(
            f"{what}: AWS can't be reached: {_line(error)}; is the network up, and the region right?"
        ) from error
    except exceptions.BotoCoreError as error:
        raise AwsError(f"{what}: {_line(error)}") from error


def found(what: str, ask: Callable[[], Any]) -> Any:
    """What AWS answers; None where there is no such thing.

    Arguments:
        what: what is asked for, as a person knows it.
        ask: the request.

    Raises:
        AwsError: as for `talking`.
    """
    try:
        with talking(what):
            return ask()
    except MissingError:
        return None


def _refusal(what: str, error: Any) -> AwsError:
    detail = error.response.get("Error", {})
    code, message = str(detail.get("Code")), _line(detail.get("Message") or "no reason given")
    if code in _EXPIRED:
        return AwsError(f"{what}: the credentials have expired; sign in again (aws sso login), or renew them")
    if code in _UNKNOWN:
        return AwsError(f"{what}: AWS does not know these credentials ({code}); {_SIGN_IN}")
    if code in _THROTTLED:
        return AwsError(f"{what}: AWS limits the rate of requests ({code}); try again in a minute")
    if code in _DENIED:
        return DeniedError(f"{what}: access denied: {message}; have it allowed in the caller's policy")
    if code in _MISSING or (code == "ValidationException" and any(word in message.lower() for word in _MISSING_WORDS)):
        return MissingError(f"{what} is not there ({code}); is the stack up? Run pulumi up")
    return AwsError(f"{what}: {code}: {message}")


def _line(text: object) -> str:
    return " ".join(str(text).split()).rstrip(".")


_SESSION: Final = "mlops"
"""Name of the session of an assumed role; CloudTrail shows it."""
