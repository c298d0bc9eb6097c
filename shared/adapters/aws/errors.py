"""What a failed call to AWS means for us: each of botocore's errors as one of ours.

The message names what was attempted and the error's code, never botocore's own text: that quotes values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from shared.domain.errors import Conflict, HearthwatchError, Throttled, TryAgain, Unavailable

PAUSE: Final = timedelta(seconds=5)
"""How long to hold back: AWS never says it, and the client's own tries have waited a second or two by then."""

CONFLICTS: Final = frozenset({"ConditionalCheckFailedException"})
THROTTLES: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "KmsThrottled",
        "LimitExceededException",
        "OverLimit",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TooManyUpdates",
        "TransactionInProgressException",
    }
)

_UNREADABLE: Final = (AttributeError, KeyError, TypeError, ValueError)
"""What botocore itself stumbles over in an answer that is JSON of another shape."""


@contextmanager
def talking_to(what: str) -> Iterator[None]:
    """Turn the errors of a call into ours: Conflict, Throttled, or Unavailable for everything else."""
    try:
        yield
    except ClientError as error:
        raise _answered(what, error) from error
    except HearthwatchError:
        raise
    except (BotoCoreError, ResponseParserError, *_UNREADABLE) as error:
        raise Unavailable(f"{what}: no usable answer from AWS ({type(error).__name__})") from error


def require_signed(answer: Any) -> Any:
    """Return an answer that carries a request id of AWS, or raise Unavailable.

    botocore reads the page of a proxy, sent with status 200, as an answer in which everything is absent.
    """
    if not answer["ResponseMetadata"].get("RequestId"):
        raise Unavailable("the answer is not one of AWS")
    return answer


def code_of(error: ClientError) -> str:
    """Name what AWS answered."""
    return error.response.get("Error", {}).get("Code") or "an error without a code"


def _answered(what: str, error: ClientError) -> TryAgain:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in CONFLICTS:
        return Conflict(f"{what}: {code}")
    if code in THROTTLES or status == 429:
        return Throttled(f"{what}: AWS asked to slow down ({code})", PAUSE)
    return Unavailable(f"{what}: AWS answered {code}")
