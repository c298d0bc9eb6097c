"""The operator's own connection to AWS, and its errors in one line each.

Retry policy: three tries in all; an operator's machine is further from the region than a function is, so each waits
longer than a function's. Creating and deleting is safe to repeat: AWS knows stacks, schedules and parameters by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.adapters.aws.clients import Aws
from shared.adapters.aws.errors import code_of
from shared.domain.errors import HearthwatchError, Stop

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sts import STSClient

_PATIENT: Final = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3, "mode": "standard"})

NO_CREDENTIALS: Final = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.TokenRetrievalError,
    exceptions.SSOError,
    exceptions.ProfileNotFound,
)
REFUSED_KEYS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
FORBIDDEN: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


class OperatorError(Stop):
    """A command cannot do what it was asked for; the message says why and what to do."""


class OperatorAws(Aws):
    """AWS as the operator uses it: beside what functions use, what a stack is made of."""

    def __init__(self, session: boto3.Session | None = None, *, endpoint_url: str | None = None) -> None:
        with asking("AWS"):
            super().__init__(session, endpoint_url=endpoint_url)

    @property
    def region(self) -> str:
        """Name the region."""
        return str(self._session.region_name)

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """Stacks."""
        return self._session.client("cloudformation", config=_PATIENT, endpoint_url=self._endpoint_url)

    @cached_property
    def sts(self) -> STSClient:
        """Identities."""
        return self._session.client("sts", config=_PATIENT, endpoint_url=self._endpoint_url)

    @cached_property
    def sns(self) -> SNSClient:
        """Topics."""
        return self._session.client("sns", config=_PATIENT, endpoint_url=self._endpoint_url)

    @cached_property
    def functions(self) -> LambdaClient:
        """Functions."""
        return self._session.client("lambda", config=_PATIENT, endpoint_url=self._endpoint_url)

    @cached_property
    def scheduler(self) -> Any:
        """Schedules."""
        return self._untyped("scheduler")

    @cached_property
    def logs(self) -> Any:
        """Log groups."""
        return self._untyped("logs")

    @cached_property
    def cloudwatch(self) -> Any:
        """Metrics."""
        return self._untyped("cloudwatch")

    def server_time(self) -> datetime:
        """Ask what time it is at AWS; whole seconds."""
        headers = self.sts.get_caller_identity()["ResponseMetadata"]["HTTPHeaders"]
        return parsedate_to_datetime(headers["date"]).astimezone(UTC)

    def _untyped(self, service: Any) -> Any:
        return self._session.client(service, config=_PATIENT, endpoint_url=self._endpoint_url)


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn whatever goes wrong at AWS, and what a later try may mend, into one line that says what to do."""
    try:
        yield
    except Stop:
        raise
    except HearthwatchError as problem:
        raise OperatorError(f"{what}: {problem}") from problem
    except NO_CREDENTIALS as problem:
        raise OperatorError(
            f"{what}: no credentials of AWS: run `aws configure`, or set AWS_PROFILE ({type(problem).__name__})"
        ) from problem
    except exceptions.NoRegionError as problem:
        raise OperatorError(f"{what}: no region: set AWS_DEFAULT_REGION to the one you deploy to") from problem
    except ClientError as problem:
        raise OperatorError(f"{what}: {said(problem)}") from problem
    except BotoCoreError as problem:
        raise OperatorError(
            f"{what}: no answer from AWS ({type(problem).__name__}): check the region and this machine's network"
        ) from problem


def said(problem: ClientError) -> str:
    """Put an error of AWS in words without quoting values."""
    code = code_of(problem)
    if code in REFUSED_KEYS:
        return f"AWS does not take these credentials ({code}): renew them, and see that this machine's clock is right"
    if code in FORBIDDEN:
        return f"these credentials may not do {problem.operation_name} ({code}): use those you deploy with"
    return f"AWS answered {code} to {problem.operation_name}"
