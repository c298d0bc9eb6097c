"""SES on loopback: moto's, which keeps what it was asked to send, and a scripted one that refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.config import Config
from moto.ses.models import ses_backends

from tests.fakes.aws import REGION, connect, local_session, served
from tests.fakes.scripted_http import Step, reply

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

ACCOUNT = "123456789012"
"""The account that moto gives everybody."""
SENDER = "hearthwatch@alerts.example"
OPERATOR = "operator@home.example"
OTHER = "second@home.example"

THROTTLES = {"TooManyRequestsException": "Maximum sending rate exceeded.", "ThrottlingException": "Rate exceeded"}
SPENT = {
    "LimitExceededException": "You have reached your limit",
    "TooManyRequestsException": "Daily message quota exceeded.",
    "ThrottlingException": "Daily message quota exceeded.",
}
REFUSALS = (
    "MessageRejected", "MailFromDomainNotVerifiedException", "AccountSuspendedException", "SendingPausedException",
    "NotFoundException", "BadRequestException", "AccessDeniedException",
)  # fmt: skip


def refusal(code: str, message: str = "no", status: int = 400) -> Step:
    """Answer as SES does when it does not send."""
    return reply(status, {"message": message}, x_amzn_ErrorType=code, Content_Type="application/json")


SENT = reply(200, {"MessageId": "0100018e-1f"}, Content_Type="application/json")


def impatient(url: str) -> SESV2Client:
    """Make a client that gives up after a fifth of a second."""
    config = Config(connect_timeout=0.2, read_timeout=0.2, retries={"total_max_attempts": 1})
    return local_session().client("sesv2", config=config, endpoint_url=url)


class Mailbox:
    """What SES was asked to send since the mailbox was opened."""

    def __init__(self, client: SESV2Client) -> None:
        self.client = client
        self._before = len(self._all())

    @property
    def mails(self) -> list[tuple[str, str]]:
        """List subjects and bodies."""
        return [(mail.subject, mail.body) for mail in self._all()[self._before :]]

    @property
    def recipients(self) -> list[list[str]]:
        return [mail.destinations["ToAddresses"] for mail in self._all()[self._before :]]

    def _all(self) -> list:  # type: ignore[type-arg]
        return ses_backends[ACCOUNT][REGION].sent_messages


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Serve SES with the sender verified."""
    with served() as url:
        client = connect(url).ses
        client.create_email_identity(EmailIdentity=SENDER)
        yield Mailbox(client)
