"""What SES was asked to send, as files that any mail program opens.

The embedded SES keeps its messages in this process and sends nothing; each is written out once, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final

_DIGITS: Final = 4
AT_HEADER: Final = "X-Hearthwatch-Sent-At"
"""Carries the simulated time at which the mail was handed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail as it lies in the outbox."""

    name: str
    at: str
    subject: str
    to: str
    text: str


class MailOutbox:
    """Writes new mails into a folder; those of an earlier run stay and are counted on."""

    def __init__(self, folder: Path, sent: Callable[[], Sequence[EmailMessage]]) -> None:
        """Take mails from `sent`, which lists everything sent so far, oldest first."""
        self._folder = folder
        self._sent = sent
        self._taken = 0
        self._mails = [_mail(path) for path in sorted(folder.glob("*.eml"))] if folder.is_dir() else []

    @property
    def mails(self) -> Sequence[Mail]:
        """List the mails, oldest first."""
        return tuple(self._mails)

    def collect(self, at: datetime) -> Sequence[Mail]:
        """Write out what was sent since the last time, and return it."""
        fresh = self._sent()[self._taken :]
        return [self._write(message, at) for message in fresh]

    def _write(self, message: EmailMessage, at: datetime) -> Mail:
        self._folder.mkdir(parents=True, exist_ok=True)
        del message[AT_HEADER]
        message[AT_HEADER] = at.isoformat()
        if "Date" not in message:
            message["Date"] = format_datetime(at)
        path = self._folder / f"{len(self._mails) + 1:0{_DIGITS}}.eml"
        path.write_bytes(message.as_bytes(policy=policy.SMTP))
        self._taken += 1
        self._mails.append(_mail(path))
        return self._mails[-1]


def as_email(message: Any) -> EmailMessage:
    """Make an e-mail of a message as the embedded SES keeps it, raw or in parts."""
    if hasattr(message, "raw_data"):
        return _parsed(message.raw_data.encode())
    email = EmailMessage()
    email["From"] = message.source
    email["To"] = ", ".join(message.destinations.get("ToAddresses", []))
    email["Subject"] = message.subject
    email.set_content(message.body, subtype="html" if message.body.lstrip().startswith("<") else "plain")
    return email


def _parsed(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=policy.default)
    if not isinstance(message, EmailMessage):
        raise TypeError(f"an e-mail expected, got {type(message).__name__}")
    return message


def _mail(path: Path) -> Mail:
    message = _parsed(path.read_bytes())
    body = message.get_body(("plain", "html"))
    return Mail(
        name=path.name,
        at=str(message[AT_HEADER] or ""),
        subject=str(message["Subject"] or ""),
        to=str(message["To"] or ""),
        text="" if body is None else str(body.get_content()).replace("\r\n", "\n"),
    )
