"""Checks of the ways to a person: Discord and mail, each tried with one message that says that it is a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from botocore.exceptions import ClientError

from hearthwatch.operator.aws import OperatorAws
from hearthwatch.operator.checks import Check, Seen, failed, ok, warning
from shared.adapters.aws.errors import code_of
from shared.adapters.aws.mail import SesMail
from shared.bootstrap.cloud import Cloud
from shared.domain.alerts import Alert, AlertKind, Channel, Severity
from shared.domain.stage import Stage
from shared.domain.times import iso
from shared.settings import MailSettings

WEBHOOK: Final = "store a working webhook with `make secrets`"
MAIL: Final = "mend it in the console of SES"
NOT_FOUND: Final = frozenset({"NotFoundException"})


def checks_of_alerts(
    cloud: Cloud, aws: OperatorAws, mail: MailSettings, stage: Stage, webhook: Callable[[], str], *, quiet: bool
) -> list[Check]:
    """List the checks of the ways to a person; quietly, nothing is sent, and `webhook` gives what Discord calls it."""
    asked = [Check("mail allowance", lambda: mail_allowance(aws, mail, stage), MAIL)]
    if quiet:
        known = "Discord knows the webhook as {}; nothing was posted"
        return [*asked, Check("webhook", lambda: ok(known.format(webhook())), WEBHOOK)]
    return [
        *asked,
        Check("message to Discord", lambda: message(cloud, Channel.DISCORD), WEBHOOK),
        Check("message by mail", lambda: message(cloud, Channel.EMAIL), MAIL),
    ]


def mail_allowance(aws: OperatorAws, mail: MailSettings, stage: Stage) -> Seen:
    """Ask what SES lets this account send, and whether the addresses are verified."""
    if mail.mail_from is None or not mail.mail_to:
        return failed("no sender or recipient is configured", 'make deploy PARAMETERS="MailFrom=... MailTo=..."')
    allowance = SesMail(aws.ses, mail.mail_from, mail.mail_to, stage).self_test()
    if not allowance.sends:
        return failed("; ".join(allowance.problems), MAIL)
    needed = [mail.mail_from, *(mail.mail_to if allowance.in_sandbox else ())]
    unverified = [address for address in needed if not _is_verified(aws, address)]
    if unverified:
        return failed(f"not verified: {', '.join(unverified)}", "verify it in the console of SES, in this region")
    if allowance.problems:
        return warning("; ".join(allowance.problems), "ask AWS to take SES out of the sandbox if you want more")
    return ok(f"{allowance.sent} of {allowance.a_day} mails sent today, sender verified")


def message(cloud: Cloud, channel: Channel) -> Seen:
    """Send one message that says that it is a test."""
    if channel not in cloud.channels:
        return failed(f"{channel.value} is not set up", MAIL)
    now = cloud.clock.now()
    alert = Alert(
        kind=AlertKind.TEST_MESSAGE,
        severity=Severity.INFO,
        subject="preflight",
        at=now,
        text="This is a test: preflight tries whether messages arrive here. Nothing has happened.",
        occurrence=iso(now),
    )
    cloud.channels[channel].send(alert, suppressed=0)
    return ok("one test message was taken; see that it arrived")


def _is_verified(aws: OperatorAws, address: str) -> bool:
    """Say whether SES sends from or to an address: it, or its domain, is verified."""
    for identity in (address, address.rpartition("@")[2]):
        try:
            found = aws.ses.get_email_identity(EmailIdentity=identity)
        except ClientError as problem:
            if code_of(problem) in NOT_FOUND:
                continue
            raise
        if found.get("VerifiedForSendingStatus") or found.get("VerificationStatus") == "SUCCESS":
            return True
    return False
