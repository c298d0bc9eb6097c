"""How each service says no, says "too fast" and breaks, in the forms boto3 reads."""

from __future__ import annotations

import json
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response


class Refusal(NamedTuple):
    """A status, the service's code for it, and a message; {} in it is filled in."""

    status: int
    code: str
    message: str


DENIED: Final = {
    "dynamodb": Refusal(400, "AccessDeniedException", "{}"),
    "sqs": Refusal(403, "AccessDenied", "{}"),
    "ssm": Refusal(400, "AccessDeniedException", "{}"),
    "ses": Refusal(403, "AccessDeniedException", "{}"),
    "s3": Refusal(403, "AccessDenied", "{}"),
    "sns": Refusal(403, "AuthorizationError", "{}"),
}
STRANGER: Final = {
    "s3": Refusal(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
    "sqs": Refusal(403, "InvalidClientTokenId", "The security token included in the request is invalid."),
}
THROTTLED: Final = {
    "dynamodb": Refusal(
        400,
        "ThrottlingException",
        "Throughput exceeds the current capacity of your table or index. Please retry later.",
    ),
    "sqs": Refusal(403, "RequestThrottled", "The request was denied because of request throttling."),
    "ssm": Refusal(400, "ThrottlingException", "Rate exceeded"),
    "ses": Refusal(429, "TooManyRequestsException", "Maximum sending rate exceeded."),
    "s3": Refusal(503, "SlowDown", "Please reduce your request rate."),
}
BROKEN: Final = {
    "dynamodb": Refusal(500, "InternalServerError", "Internal server error"),
    "sqs": Refusal(500, "InternalError", "We encountered an internal error. Please try again."),
    "ssm": Refusal(500, "InternalServerError", "An internal error occurred."),
    "ses": Refusal(500, "InternalFailure", "The request processing has failed because of an unknown error."),
    "s3": Refusal(500, "InternalError", "We encountered an internal error. Please try again."),
}
CONFLICT: Final = Refusal(400, "ConditionalCheckFailedException", "The conditional request failed")
_ANY_DENIED: Final = Refusal(403, "AccessDenied", "{}")
_ANY_STRANGER: Final = Refusal(
    403, "UnrecognizedClientException", "The security token included in the request is invalid."
)
_ANY_THROTTLED: Final = Refusal(400, "Throttling", "Rate exceeded")
_ANY_BROKEN: Final = Refusal(500, "InternalFailure", "The request processing has failed because of an unknown error.")
_NAMESPACES: Final = {"dynamodb": "com.amazon.coral.service#", "sqs": "com.amazon.coral.service#", "ssm": ""}
ACCOUNT: Final = {
    "DedicatedIpAutoWarmupEnabled": False,
    "EnforcementStatus": "HEALTHY",
    "ProductionAccessEnabled": True,
    "SendingEnabled": True,
    "SendQuota": {"Max24HourSend": 50000, "MaxSendRate": 14, "SentLast24Hours": 0},
}
"""What SES says of an account outside its sandbox; moto knows no such call."""


def denied(service: str, caller: str, action: str, resource: str) -> Response:
    """Refuse an action that the caller's policy does not allow."""
    words = f"User: {caller} is not authorized to perform: {action} on resource: {resource}"
    words += f" because no identity-based policy allows the {action} action"
    return _reply(service, DENIED.get(service, _ANY_DENIED), words)


def stranger(service: str) -> Response:
    """Refuse a caller whose key is not known."""
    return _reply(service, STRANGER.get(service, _ANY_STRANGER))


def throttled(service: str) -> Response:
    """Ask the caller to slow down."""
    return _reply(service, THROTTLED.get(service, _ANY_THROTTLED))


def broken(service: str) -> Response:
    """Fail as a service fails."""
    return _reply(service, BROKEN.get(service, _ANY_BROKEN))


def conflict() -> Response:
    """Refuse a conditional write to a table, as if somebody had written first."""
    return _reply("dynamodb", CONFLICT)


def ses_account() -> Response:
    """Describe the mail account."""
    return Response(json.dumps(ACCOUNT), content_type="application/json")


def _reply(service: str, refusal: Refusal, words: str = "") -> Response:
    message = refusal.message.format(words)
    if service == "ses":
        headers = {"x-amzn-ErrorType": refusal.code}
        return Response(json.dumps({"message": message}), refusal.status, headers, content_type="application/json")
    if service in _NAMESPACES:
        body = {"__type": _NAMESPACES[service] + refusal.code, "message": message}
        headers = {"x-amzn-query-error": f"{refusal.code};{'Sender' if refusal.status < 500 else 'Receiver'}"}
        return Response(json.dumps(body), refusal.status, headers, content_type="application/x-amz-json-1.0")
    error = f"<Error><Code>{refusal.code}</Code><Message>{escape(message)}</Message></Error>"
    if service != "s3":
        error = f"<ErrorResponse>{error}<RequestId>local</RequestId></ErrorResponse>"
    return Response(error, refusal.status, content_type="application/xml")
