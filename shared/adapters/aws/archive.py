"""The archive of prices in a bucket: one compressed object an hour, one line of JSON a minute.

A line is a stored minute (shared/contracts/stored.py), and the object's metadata carries its schema. Bounds: those of
the connection, three tries in all; writing an hour again gives the same object. To learn that an object is absent, the
caller must be allowed to list the bucket: without that, S3 says "forbidden" instead.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from shared.adapters.aws.errors import code_of, talking_to
from shared.contracts.stored import MINUTE, Unreadable
from shared.ports.archive import require_hour, require_minutes_of
from shared.ports.prices import Minute

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ABSENT: Final = frozenset({"404", "NoSuchKey", "NotFound"})
SCHEMA: Final = "schema"


class S3PriceArchive:
    """Hours as prices/YYYY/MM/DD/HH.jsonl.gz."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def has(self, hour: datetime) -> bool:
        key = key_of(hour)
        with talking_to(f"looking for {key}"):
            try:
                self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code_of(error) in ABSENT:
                    return False
                raise
        return True

    def put(self, hour: datetime, minutes: Sequence[Minute]) -> None:
        key = key_of(hour)
        lines = "".join(MINUTE.dumps(minute) + "\n" for minute in require_minutes_of(hour, minutes))
        with talking_to(f"archiving {key}"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=gzip.compress(lines.encode(), mtime=0),
                ContentType="application/gzip",
                Metadata={SCHEMA: str(MINUTE.schema)},
            )

    def get(self, hour: datetime) -> Sequence[Minute] | None:
        key = key_of(hour)
        with talking_to(f"reading {key}"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code_of(error) in ABSENT:
                    return None
                raise
            packed = answer["Body"].read()
        return _minutes(key, packed, answer["Metadata"].get(SCHEMA, ""))


def key_of(hour: datetime) -> str:
    """Name the object of an hour."""
    return f"prices/{require_hour(hour):%Y/%m/%d/%H}.jsonl.gz"


def _minutes(key: str, packed: bytes, schema: str) -> Sequence[Minute]:
    if not packed:
        raise Unreadable(f"{key}: not an archived hour (empty)")
    try:
        lines = gzip.decompress(packed).decode().splitlines()
        number = int(schema)
    except (OSError, EOFError, zlib.error, ValueError) as problem:
        raise Unreadable(f"{key}: not an archived hour ({type(problem).__name__})") from problem
    return [MINUTE.loads(line, schema=number, version=0, item=f"{key}, line {n}") for n, line in enumerate(lines, 1)]
