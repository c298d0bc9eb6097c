"""What a request to AWS asks for: the service, and each action on each resource that a policy must allow.

Read from the wire as boto3 writes it: DynamoDB, SQS and SSM name the operation in a header and the rest in JSON; SES
and S3 say it with method and path; the rest send forms. What is not recognised asks for an action of that name on
everything, which no policy of ours allows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from email.utils import parseaddr
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from werkzeug.wrappers import Request

from local_stack.cloud.policies import FROM_ADDRESS
from local_stack.cloud.stack import Place

EVERYTHING: Final = "*"
UNSIGNED: Final = ("", "")
_BATCHES: Final = {
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
}
"""Operations of SQS that are allowed by the action of a single message."""
_TRANSACTED: Final = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem"}
_FREE: Final = frozenset({"sts:GetCallerIdentity"})
"""What everybody may do, whatever the policy says."""
_OBJECT_ACTIONS: Final = {
    "GET": "s3:GetObject",
    "HEAD": "s3:GetObject",
    "PUT": "s3:PutObject",
    "POST": "s3:PutObject",
    "DELETE": "s3:DeleteObject",
}
_SUB_RESOURCES: Final = frozenset({"acl", "tagging", "retention", "legal-hold", "versionId", "restore", "torrent"})
_LISTING: Final = frozenset(
    {"list-type", "prefix", "delimiter", "max-keys", "marker", "start-after", "continuation-token", "encoding-type"}
)


class Ask(NamedTuple):
    """An action on a resource."""

    action: str
    resource: str


class Asked(NamedTuple):
    """One request, understood; `body` is its JSON or form, empty where there is none."""

    key_id: str
    service: str
    operation: str
    asks: tuple[Ask, ...]
    body: Mapping[str, Any]
    context: Mapping[str, str]


def understand(request: Request, place: Place) -> Asked:
    """Work out what a request asks for."""
    key_id, service = _signed_for(request)
    match service:
        case "dynamodb" | "sqs" | "ssm":
            operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
            body = _json(request)
            asks = tuple(_JSON_SERVICES[service](operation, body, place))
            return Asked(key_id, service, operation, asks, body, {})
        case "ses":
            return _ses(request, key_id, place)
        case "s3":
            operation, resource = _s3(request)
            return Asked(key_id, service, operation, (Ask(operation, resource),), {}, {})
        case _:
            return _form(request, key_id, service)


def queue_name(body: Mapping[str, Any]) -> str:
    """Name the queue that a request of SQS is about."""
    return str(body.get("QueueName") or str(body.get("QueueUrl", "")).rpartition("/")[2])


def _form(request: Request, key_id: str, service: str) -> Asked:
    form = {name: values[0] for name, values in parse_qs(request.get_data(as_text=True)).items()}
    operation = form.get("Action", request.headers.get("X-Amz-Target", request.method).rpartition(".")[2])
    ask = Ask(f"{service}:{operation}", form.get("TopicArn", EVERYTHING))
    return Asked(key_id, service, operation, () if ask.action in _FREE else (ask,), form, {})


def _signed_for(request: Request) -> tuple[str, str]:
    """Read the access key and the service from the signature's scope."""
    _, found, rest = request.headers.get("Authorization", "").partition("Credential=")
    parts = rest.partition(",")[0].split("/")
    return (parts[0], parts[3].lower()) if found and len(parts) >= 5 else UNSIGNED


def _json(request: Request) -> Mapping[str, Any]:
    body = json.loads(request.get_data() or b"{}")
    return body if isinstance(body, dict) else {}


def _dynamodb(operation: str, body: Mapping[str, Any], place: Place) -> Iterable[Ask]:
    if "RequestItems" in body:
        for table in body["RequestItems"]:
            yield Ask(f"dynamodb:{operation}", _table(table, place))
    elif operation == "TransactWriteItems":
        for item in body.get("TransactItems", []):
            ((kind, part),) = item.items()
            yield Ask(f"dynamodb:{_TRANSACTED.get(kind, 'ConditionCheckItem')}", _table(part["TableName"], place))
    elif operation == "TransactGetItems":
        for item in body.get("TransactItems", []):
            yield Ask("dynamodb:GetItem", _table(item["Get"]["TableName"], place))
    else:
        table = _table(body["TableName"], place) if "TableName" in body else EVERYTHING
        yield Ask(f"dynamodb:{operation}", f"{table}/index/{body['IndexName']}" if "IndexName" in body else table)


def _table(name: str, place: Place) -> str:
    return name if name.startswith("arn:") else f"arn:aws:dynamodb:{place.region}:{place.account}:table/{name}"


def _sqs(operation: str, body: Mapping[str, Any], place: Place) -> Iterable[Ask]:
    queue = queue_name(body)
    resource = f"arn:aws:sqs:{place.region}:{place.account}:{queue}" if queue else EVERYTHING
    yield Ask(f"sqs:{_BATCHES.get(operation, operation)}", resource)


def _ssm(operation: str, body: Mapping[str, Any], place: Place) -> Iterable[Ask]:
    names = body.get("Names") or [name for name in (body.get("Name"), body.get("Path")) if name]
    for name in names:
        path = str(name).removeprefix("/")
        yield Ask(f"ssm:{operation}", f"arn:aws:ssm:{place.region}:{place.account}:parameter/{path}")
    if not names:
        yield Ask(f"ssm:{operation}", EVERYTHING)


_JSON_SERVICES: Final = {"dynamodb": _dynamodb, "sqs": _sqs, "ssm": _ssm}


def _ses(request: Request, key_id: str, place: Place) -> Asked:
    match request.method, request.path:
        case "POST", "/v2/email/outbound-emails":
            body = _json(request)
            sender = parseaddr(str(body.get("FromEmailAddress", "")))[1]
            operation = "SendRawEmail" if "Raw" in body.get("Content", {}) else "SendEmail"
            identity = f"arn:aws:ses:{place.region}:{place.account}:identity/{sender}"
            return Asked(key_id, "ses", operation, (Ask(f"ses:{operation}", identity),), body, {FROM_ADDRESS: sender})
        case "GET", "/v2/email/account":
            return Asked(key_id, "ses", "GetAccount", (Ask("ses:GetAccount", EVERYTHING),), {}, {})
        case method, path:
            operation = f"{method} {path}"
            return Asked(key_id, "ses", operation, (Ask(f"ses:{operation}", EVERYTHING),), {}, {})


def _s3(request: Request) -> tuple[str, str]:
    """Give the action and the resource of a request with the bucket in its path."""
    bucket, _, key = request.path.removeprefix("/").partition("/")
    if not bucket:
        return "s3:ListAllMyBuckets", EVERYTHING
    given = set(request.args)
    if key:
        strange = sorted(given & _SUB_RESOURCES)
        action = f"s3:{request.method}?{strange[0]}" if strange else _OBJECT_ACTIONS.get(request.method, "s3:?")
        return action, f"arn:aws:s3:::{bucket}/{key}"
    if request.method in ("GET", "HEAD") and given <= _LISTING:
        return "s3:ListBucket", f"arn:aws:s3:::{bucket}"
    return f"s3:{request.method}?{'&'.join(sorted(given))}", f"arn:aws:s3:::{bucket}"
