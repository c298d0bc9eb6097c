"""The e-mail channel: Amazon SES (ALR-02, fault 36).

One request per message, under the bounds of `Aws.ses`: 1 s to connect, 3 s of silence, no retry, because SES honours no
key. When its answer is lost the router sends again, and the mail may arrive twice.

SES never says how long to wait, so a throttled mail waits two seconds, and twice as long after each further throttle up
to a minute. A spent daily quota is not a wait: it frees itself over a day, in steps nobody names. It therefore counts
as a dead channel, which is told once, leaves SES alone for the router's hour, and keeps the mails as dead letters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from shared.domain.alerts import Alert, Channel
from shared.domain.errors import ChannelDead, HearthwatchError, Throttled, Unavailable
from shared.domain.messages import Message, render
from shared.domain.stage import Stage
from shared.domain.text import shorten

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

SUBJECT_LIMIT: Final = 150
FIRST_PAUSE: Final = timedelta(seconds=2)
LONGEST_PAUSE: Final = timedelta(seconds=60)

SLOW_DOWN: Final = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling"})
QUOTA_SPENT: Final = frozenset({"LimitExceededException"})
_QUOTA_WORDS: Final = re.compile(r"daily|quota", re.IGNORECASE)
"""Throttles of both kinds may come under one code; then the message tells the day's quota from the rate."""
MEND: Final = {
    "MessageRejected": "verify the sender's address, and in the sandbox each recipient's too",
    "MailFromDomainNotVerifiedException": "verify the sender's domain",
    "AccountSuspendedException": "SES has suspended the account: write to AWS support",
    "SendingPausedException": "sending is paused: see the account's reputation and switch sending on again",
    "NotFoundException": "the sender's identity is not in this region: verify it there",
    "BadRequestException": "check the addresses of sender and recipients",
    "AccessDeniedException": "allow the function to send from this identity",
    "AccessDenied": "allow the function to send from this identity",
}
"""What a person has to do about refusals that would only repeat themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAllowance:
    """What SES lets this account do: mails a day and a second, those of the last 24 hours, and whether at all.

    In the sandbox only verified addresses are reached. A daily figure below zero means that there is no limit.
    """

    sends: bool
    in_sandbox: bool
    a_day: int
    a_second: int
    sent: int

    @property
    def problems(self) -> tuple[str, ...]:
        """Say what would keep an alert from arriving."""
        left = self.a_day - self.sent
        found = []
        if not self.sends:
            found.append("SES does not send for this account: see its reputation and switch sending on")
        if self.in_sandbox:
            found.append(f"SES is in the sandbox: {self.a_day} mails a day, to verified addresses only")
        if self.a_day >= 0 and left * 10 < self.a_day:
            found.append(f"only {max(left, 0)} of {self.a_day} mails a day are left")
        return tuple(found)


class SesMail:
    """Mails messages from a verified sender to one or more recipients, all in one mail."""

    def __init__(self, client: SESV2Client, sender: str, recipients: Sequence[str], stage: Stage) -> None:
        self._client = client
        self._sender = sender
        self._recipients = list(recipients)
        self._stage = stage
        self._pause = FIRST_PAUSE

    @property
    def channel(self) -> Channel:
        return Channel.EMAIL

    def send(self, alert: Alert, *, suppressed: int) -> None:
        message = render(alert, stage=self._stage, suppressed=suppressed)
        try:
            answer = self._client.send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": self._recipients},
                Content={
                    "Simple": {
                        "Subject": {"Data": shorten(_unlinked(message.headline), SUBJECT_LIMIT), "Charset": "UTF-8"},
                        "Body": {
                            "Text": {"Data": text_of(message), "Charset": "UTF-8"},
                            "Html": {"Data": html_of(message), "Charset": "UTF-8"},
                        },
                    }
                },
            )
        except ClientError as error:
            raise self._refusal(error) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise Unavailable(f"no usable answer from SES ({type(error).__name__})") from error
        if not answer.get("MessageId"):
            raise Unavailable("the answer is not SES's: something in between answered")
        self._pause = FIRST_PAUSE

    def self_test(self) -> MailAllowance:
        """Ask SES what it lets this account do; raises Unavailable when it does not say."""
        try:
            account = self._client.get_account()
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            raise Unavailable(f"SES does not say what it allows ({type(error).__name__})") from error
        quota = account.get("SendQuota", {})
        return MailAllowance(
            sends=account.get("SendingEnabled", False),
            in_sandbox=not account.get("ProductionAccessEnabled", False),
            a_day=int(quota.get("Max24HourSend", 0)),
            a_second=int(quota.get("MaxSendRate", 0)),
            sent=int(quota.get("SentLast24Hours", 0)),
        )

    def _refusal(self, error: ClientError) -> HearthwatchError:
        """Say what SES's no means; SES's own words stay out of it, they quote addresses."""
        answer = error.response.get("Error", {})
        code = answer.get("Code") or "an error without a code"
        throttled = code in SLOW_DOWN
        if code in QUOTA_SPENT or (throttled and _QUOTA_WORDS.search(answer.get("Message", ""))):
            return ChannelDead(f"SES takes no more mails today ({code}): its daily quota is spent")
        if throttled:
            pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
            return Throttled(f"SES asked to slow down ({code})", pause)
        if code in MEND:
            return ChannelDead(f"SES refuses ({code}): {MEND[code]}")
        return Unavailable(f"SES answered {code}")


def text_of(message: Message) -> str:
    """Lay a message out as plain text."""
    return _unlinked(message.plain)


def html_of(message: Message) -> str:
    """Lay a message out as HTML that holds no link, no image and nothing of anybody else's."""
    lines = "".join(f"<p>{_html(line)}</p>" for line in message.lines)
    rows = "".join(
        f'<tr><td style="padding-right:1em">{_html(field.name)}</td><td>{_html(field.value)}</td></tr>'
        for field in message.fields
    )
    table = f"<table>{rows}</table>" if rows else ""
    return (
        f"<!doctype html><html><body><h3>{_html(message.headline)}</h3>"
        f"{lines}{table}<p><small>{_html(message.when)}</small></p></body></html>"
    )


def _html(text: str) -> str:
    return escape(_unlinked(text)).replace("\n", "<br>")


def _unlinked(text: str) -> str:
    """Break addresses, which mail programs would make links of by themselves."""
    return _ADDRESS.sub(r"\1[:]//", text).replace("www.", "www[.]")


_ADDRESS: Final = re.compile(r"(\w)://")
