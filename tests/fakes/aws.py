"""AWS on loopback: moto's server in this process, one per test worker, with a fresh account when asked.

moto checks a condition and then writes, and lets another thread in between. The table keeps what it promises only when
one request at a time reaches it, so requests to DynamoDB take turns here; the other services are left as they are,
because a queue may be waiting for its next message.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import boto3
from moto.server import ThreadedMotoServer

from shared.adapters.aws.clients import Aws

REGION = "us-east-1"


def local_session() -> boto3.Session:
    """Make a session of a made-up identity."""
    return boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)


class TablesInTurn:
    """Passes requests on, those to tables one at a time."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._turn = Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB"):
            return self._application(environ, start_response)
        with self._turn:
            return self._application(environ, start_response)


@contextmanager
def served() -> Iterator[str]:
    """Serve a fresh AWS account on a free port of 127.0.0.1, and give its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    listening = server._server  # what it serves can be wrapped only once it listens
    assert listening is not None
    listening.app = TablesInTurn(listening.app)
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def connect(url: str) -> Aws:
    """Connect to a served account."""
    return Aws(local_session(), endpoint_url=url)


def make_table(aws: Aws, name: str) -> str:
    """Create a table keyed as ours are (`pk` and `sk`, both text), with the Book's index of watched incidents."""
    aws.dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk", "watched")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "watched",
                "KeySchema": [
                    {"AttributeName": "watched", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return name
