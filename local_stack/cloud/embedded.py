"""The cloud of one machine: moto's server on loopback behind our door, with the template's resources in it.

Every cloud is an account of its own: several in one process share moto's memory but not their contents. It forgets
everything when it stops.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import count
from threading import Thread
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

import boto3
from moto.backends import get_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from local_stack.cloud.deployed import (
    DeployedFunction,
    DeployedSchedule,
    QueueTrigger,
    functions_of,
    schedules_of,
    triggers_of,
)
from local_stack.cloud.door import Door, Misbehaviour, Plan
from local_stack.cloud.identities import OWNER_KEY, SECRET, Identities, key_of, lambda_key_of
from local_stack.cloud.policies import Statement
from local_stack.cloud.queue_times import QueueTimes
from local_stack.cloud.resources import make_resources, time_to_live_of
from local_stack.cloud.stack import Place, Stack
from local_stack.cloud.template import Template
from local_stack.loopback import LOOPBACK, Running
from shared.domain.errors import Unavailable
from shared.ports.clock import Clock

REGION: Final = "us-east-1"
STACK: Final = "hearthwatch"
MAIL_FROM: Final = "HEARTHWATCH_MAIL_FROM"
_ACCOUNTS: Final = count(1)


class EmbeddedCloud(Running):
    """One stack of the template, served on 127.0.0.1; port 0 takes a free one."""

    def __init__(
        self,
        template: Template,
        clock: Clock,
        *,
        name: str = STACK,
        region: str = REGION,
        account: str | None = None,
        port: int = 0,
    ) -> None:
        self.clock = clock
        self.url: str
        self.stack: Stack
        self.functions: Mapping[str, DeployedFunction]
        self.schedules: Sequence[DeployedSchedule]
        self.triggers: Sequence[QueueTrigger]
        self.times: QueueTimes
        self.door: Door
        self._identities: Identities
        self._template = template
        self._name = name
        self._region = region
        self._account = account or f"{next(_ACCOUNTS):012}"
        self._port = port
        self._server: BaseWSGIServer | None = None
        self._thread: Thread | None = None

    def start(self) -> str:
        """Serve, make the resources, and return the address; Unavailable when the port is taken."""
        try:
            self._begin()
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Stop serving and forget everything; stopping twice is safe."""
        if self._thread is not None and self._server is not None:
            self.door.close()
            self._server.shutdown()
            self._thread.join()
            self._forget()
        if self._server is not None:
            self._server.server_close()
        self._server = self._thread = None

    @property
    def owner(self) -> boto3.Session:
        """Give the identity that may do everything."""
        return self._identities.session(OWNER_KEY)

    def session_of(self, function: str) -> boto3.Session:
        """Give a function's own identity."""
        return self._identities.session(key_of(self.functions[function].logical_id))

    def client(self, service: Any) -> Any:
        """Connect the owner to a service."""
        return self._identities.client(OWNER_KEY, service)

    def client_for(self, function: str, service: Any) -> Any:
        """Connect Lambda itself to a service, in a function's name."""
        return self._identities.client(lambda_key_of(function), service)

    def physical(self, logical_id: str) -> str:
        """Give what Ref gives: a table's or bucket's name, a queue's address, a topic's ARN."""
        return str(self.stack.ref(logical_id))

    def environment_of(self, function: str) -> Mapping[str, str]:
        """Give the variables a function sees: the template's, and those that Lambda adds."""
        return {**self.functions[function].environment, **self._added(self.functions[function])}

    def policy_of(self, function: str) -> Sequence[Statement]:
        """Give what a function's role may do."""
        return self.functions[function].statements

    def misbehave(
        self,
        kind: Misbehaviour,
        action: str = "*",
        *,
        resource: str = "*",
        caller: str = "*",
        times: int = 1,
        lasting: timedelta = timedelta(seconds=30),
    ) -> None:
        """Plan a misbehaviour for the next requests of an action on a resource by a caller."""
        self.door.plan(Plan(kind=kind, action=action, resource=resource, caller=caller, times=times, lasting=lasting))

    def expire_items(self) -> int:
        """Delete the items whose time to live is over on the stack's clock, which moto never does; count them."""
        now = int(self.clock.now().timestamp())
        tables = [(name, time_to_live_of(self.stack, name)) for name in self.stack.of_type("AWS::DynamoDB::Table")]
        return sum(self._expire(self.physical(name), attribute, now) for name, attribute in tables if attribute)

    def sent_mail(self) -> Sequence[Any]:
        """List the mails that SES has taken, as moto keeps them."""
        return tuple(get_backend("ses")[self._account][self._region].sent_messages)

    def _begin(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = self._bound()
        self.url = f"http://{LOOPBACK}:{self._server.port}"
        self._identities = Identities(self.url, self._region)
        place = Place(stack=self._name, account=self._account, region=self._region, url=self.url)
        self.stack = Stack(self._template, place)
        self.functions = functions_of(self.stack)
        self.schedules = schedules_of(self.stack)
        self.triggers = triggers_of(self.stack)
        self.times = QueueTimes(self.clock, delays=self._delays())
        self.door = Door(DomainDispatcherApplication(create_backend_app), place, self.times)
        self.door.admit_owner(OWNER_KEY)
        for function in self.functions.values():
            self._admit(function)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), name="embedded-cloud", daemon=True)
        self._thread.start()
        make_resources(self.stack, self.client("cloudformation"), self.client("dynamodb"))
        self._verify_senders()

    def _bound(self) -> BaseWSGIServer:
        """Listen, on a socket of our own: werkzeug ends the process when a port is taken."""
        try:
            with socket.create_server((LOOPBACK, self._port)) as listening:
                return make_server(
                    LOOPBACK,
                    self._port,
                    self._serve,
                    threaded=True,
                    request_handler=MotoRequestHandler,
                    fd=listening.fileno(),
                )
        except OSError as problem:
            raise Unavailable(f"the embedded cloud cannot listen on port {self._port}: {problem.strerror}") from problem

    def _admit(self, function: DeployedFunction) -> None:
        for key, steady in ((key_of(function.logical_id), False), (lambda_key_of(function.logical_id), True)):
            self.door.admit(key, function.logical_id, function.statements, steady=steady)

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.door(environ, start_response)

    def _added(self, function: DeployedFunction) -> Mapping[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": key_of(function.logical_id),
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_REGION": self._region,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        }

    def _delays(self) -> Mapping[str, timedelta]:
        return {
            self.stack.name(queue): timedelta(seconds=int(self.stack.properties(queue).get("DelaySeconds", 0)))
            for queue in self.stack.of_type("AWS::SQS::Queue")
        }

    def _forget(self) -> None:
        """Empty the account in moto's memory, which outlives its server."""
        for backend in (
            get_backend("cloudformation"),
            get_backend("dynamodb"),
            get_backend("logs"),
            get_backend("s3"),
            get_backend("ses"),
            get_backend("sns"),
            get_backend("sqs"),
            get_backend("ssm"),
        ):
            backend[self._account].reset()

    def _verify_senders(self) -> None:
        """Verify the identities in the template and the addresses that functions send from."""
        ses = self.client("sesv2")
        declared = {self.stack.name(name) for name in self.stack.of_type("AWS::SES::EmailIdentity")}
        senders = {function.environment.get(MAIL_FROM, "") for function in self.functions.values()}
        for identity in sorted((declared | senders) - {""}):
            ses.create_email_identity(EmailIdentity=identity)

    def _expire(self, table: str, attribute: str, now: int) -> int:
        dynamodb = self.client("dynamodb")
        over = [
            {key: item[key] for key in ("pk", "sk")}
            for page in dynamodb.get_paginator("scan").paginate(
                TableName=table,
                FilterExpression="#over <= :now",
                ProjectionExpression="pk, sk",
                ExpressionAttributeNames={"#over": attribute},
                ExpressionAttributeValues={":now": {"N": str(now)}},
            )
            for item in page["Items"]
        ]
        for key in over:
            dynamodb.delete_item(TableName=table, Key=key)
        return len(over)
