"""Connections to AWS, each call bounded in time and tries.

Retry policy: three tries in all with jitter (botocore's standard mode), 1 s to connect and 3 s to read each, so that a
call ends well inside a tick. Reads may repeat freely; every write repeats safely, because it is conditional under a
token of its own (tables), idempotent (parameters, archive), or delivered at least once anyway (queues). Mail is sent
once per call: SES honours no key, so its connection has no retries.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

CONNECT_SECONDS: Final = 1.0
READ_SECONDS: Final = 3.0
TRIES: Final = 3

_BOUNDED: Final = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"total_max_attempts": TRIES, "mode": "standard"},
    max_pool_connections=50,
)
_ONCE: Final = _BOUNDED.merge(Config(retries={"total_max_attempts": 1, "mode": "standard"}))


class Aws:
    """One identity at AWS, in a region; clients are made when first asked for."""

    def __init__(self, session: boto3.Session | None = None, *, endpoint_url: str | None = None) -> None:
        self._session = session or boto3.Session()
        self._endpoint_url = endpoint_url

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        """Tables."""
        return self._session.client("dynamodb", config=_BOUNDED, endpoint_url=self._endpoint_url)

    @cached_property
    def sqs(self) -> SQSClient:
        """Queues."""
        return self._session.client("sqs", config=_BOUNDED, endpoint_url=self._endpoint_url)

    @cached_property
    def ssm(self) -> SSMClient:
        """Parameters."""
        return self._session.client("ssm", config=_BOUNDED, endpoint_url=self._endpoint_url)

    @cached_property
    def s3(self) -> S3Client:
        """Buckets."""
        return self._session.client("s3", config=_BOUNDED, endpoint_url=self._endpoint_url)

    @cached_property
    def ses(self) -> SESV2Client:
        """Mail."""
        return self._session.client("sesv2", config=_ONCE, endpoint_url=self._endpoint_url)
