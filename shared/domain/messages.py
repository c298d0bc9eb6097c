"""The words of each alert: what happened, what to do, and for a trade what it was decided on (ALR-01, ALR-06).

A message is the same on every channel; a channel only lays it out. Everything that came with the alert is cleaned and
bounded here, so no channel has to think of it. A field that a trade should have and has not is shown as unknown: a
message that lacks something still tells, one that is dropped does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.stage import Stage
from shared.domain.text import clean
from shared.domain.times import iso
from shared.domain.trade_fields import UNKNOWN, TradeField

SUBJECT_LIMIT: Final = 80
TEXT_LIMIT: Final = 1500
NAME_LIMIT: Final = 60
VALUE_LIMIT: Final = 250
FIELDS_LIMIT: Final = 20


class Template(NamedTuple):
    """The fixed words of one kind of alert; a trade's message shows every trade field."""

    title: str
    what_to_do: str
    is_trade: bool = False


class Shown(NamedTuple):
    """One field as it is shown."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a channel lays out: visible characters only, every part bounded."""

    stage: str
    title: str
    text: str
    what_to_do: str
    count: str
    fields: tuple[Shown, ...]
    severity: Severity
    at: datetime

    @property
    def headline(self) -> str:
        """Give the one line that must be enough on a locked screen."""
        return f"[{self.stage}] {_SEVERITY_WORDS[self.severity]}{self.title}"

    @property
    def lines(self) -> tuple[str, ...]:
        """Give the paragraphs below the headline."""
        every = (self.text, self.count, f"What to do: {self.what_to_do}")
        return tuple(line for line in every if line)

    @property
    def when(self) -> str:
        """Give the time of what is told, to the second."""
        return iso(self.at.replace(microsecond=0))

    @property
    def plain(self) -> str:
        """Give the whole message as plain text."""
        fields = [f"{field.name}: {field.value}" for field in self.fields]
        blocks = [self.headline, *self.lines, *(["\n".join(fields)] if fields else []), self.when]
        return "\n\n".join(blocks) + "\n"


def render(alert: Alert, *, stage: Stage, suppressed: int) -> Message:
    """Put an alert into words; `suppressed` is how many repeats went untold before it."""
    template = template_of(alert.kind)
    title = f"{template.title}: {_about(alert, template)}"
    counted = f"({suppressed} suppressed)" in alert.text
    return Message(
        stage="LIVE" if stage.is_live else "PAPER",
        title=f"Over: {title}" if alert.recovers else title,
        text=clean(alert.text, TEXT_LIMIT, keep_lines=True),
        what_to_do="nothing, it is over." if alert.recovers else template.what_to_do,
        count=f"{suppressed} suppressed since the message before." if suppressed and not counted else "",
        fields=_fields(alert, template),
        severity=alert.severity,
        at=alert.at,
    )


def template_of(kind: str) -> Template:
    """Find the words of a kind; one that nobody listed gets words of its own rather than none."""
    unlisted = Template(f"Alert of an unknown kind, {clean(kind, SUBJECT_LIMIT) or UNKNOWN}", "read the text.")
    return TEMPLATES.get(kind, unlisted)


def _about(alert: Alert, template: Template) -> str:
    """Name what the message is about: a trade by its symbol, because its subject is an id."""
    subject = alert.fields.get(TradeField.SYMBOL.value, "") if _shows_trade(alert, template) else alert.subject
    return clean(subject, SUBJECT_LIMIT) or clean(alert.subject, SUBJECT_LIMIT) or UNKNOWN


def _fields(alert: Alert, template: Template) -> tuple[Shown, ...]:
    """Show a trade's fields in their order, each there or unknown, and after them whatever else came along."""
    known = [field.value for field in TradeField if _shows_trade(alert, template) or field.value in alert.fields]
    names = [*known, *(name for name in alert.fields if name not in known)][:FIELDS_LIMIT]
    return tuple(
        Shown(clean(name, NAME_LIMIT) or UNKNOWN, clean(alert.fields.get(name, ""), VALUE_LIMIT) or UNKNOWN)
        for name in names
    )


def _shows_trade(alert: Alert, template: Template) -> bool:
    return template.is_trade and (bool(alert.fields) or alert.kind not in _NOT_ALWAYS_ABOUT_AN_ORDER)


_SEVERITY_WORDS: Final = {Severity.INFO: "", Severity.WARNING: "Warning: ", Severity.CRITICAL: "CRITICAL: "}
_NOT_ALWAYS_ABOUT_AN_ORDER: Final = frozenset({AlertKind.EXIT_BLOCKED})
"""Kinds of trade alert that are also raised when no order could be prepared; then there is nothing to show of one."""

_K = AlertKind
TEMPLATES: Final[Mapping[str, Template]] = MappingProxyType(
    {
        _K.STOP_TRIGGERED: Template(
            "Protective level reached", "nothing; the sale is prepared and its fill follows.", is_trade=True
        ),
        _K.ORDER_FILLED: Template("Order filled", "read the quantity.", is_trade=True),
        _K.ORDER_CLOSED_UNFILLED: Template(
            "Order closed without a fill",
            "read the reason; an exit is tried again by itself while its stop is reached.",
            is_trade=True,
        ),
        _K.ORDER_REFUSED: Template(
            "Order refused by the broker",
            "read the reason; for an exit check the position at the broker.",
            is_trade=True,
        ),
        _K.ORDER_UNKNOWN: Template(
            "Order in doubt",
            "nothing; the broker is asked until it tells, and the symbol takes no entries meanwhile.",
            is_trade=True,
        ),
        _K.ORDER_ABANDONED: Template(
            "Order given up",
            "read the reason; for an exit check the position at the broker.",
            is_trade=True,
        ),
        _K.EXIT_BLOCKED: Template(
            "Protective exit held up",
            "cancel an order at the broker that is in the way; it is tried again every minute, "
            "and if this repeats, sell by hand.",
            is_trade=True,
        ),
        _K.STOP_NOT_RESTING: Template(
            "Stop not resting at the broker",
            "nothing at first: the software stop goes on and a new stop is tried; if an order of yours reserves the "
            "shares, cancel it.",
        ),
        _K.COVERAGE_LOST: Template(
            "Shares without protection",
            "look at the position at the broker now and place a stop there yourself if you can.",
        ),
        _K.LARGE_POSITION_CHANGE: Template("Position changed a lot", "check that it was meant."),
        _K.POSITION_MISMATCH: Template(
            "The broker holds another quantity than expected",
            "check whether you traded by hand; the broker's figure is taken.",
        ),
        _K.SPLIT_SUSPECTED: Template(
            "A split that nobody announced",
            "look it up; the stop was carried over it, and the symbol takes no entries until a clean pass.",
        ),
        _K.POSITION_UNWATCHED: Template("Position that cannot be protected", "protect it yourself."),
        _K.FOREIGN_ORDER: Template("An order that is not ours", "nothing if it is yours."),
        _K.CASH_MISMATCH: Template(
            "The broker has another cash figure than expected",
            "check whether you moved money; the broker's figure is taken.",
        ),
        _K.PRICE_MOVE: Template("Price moved", "look."),
        _K.PRICE_UNCONFIRMED: Template(
            "Price jump waits for confirmation", "nothing; the next tick or the second source decides."
        ),
        _K.PRICE_DISPUTED: Template(
            "Price sources disagree", "nothing; entries in the symbol are blocked until they agree."
        ),
        _K.SYMBOL_BLIND: Template("No usable price", "watch the position at the broker: the software stop cannot act."),
        _K.TICKS_MISSED: Template("Price ticks missed", "see why the schedule stopped."),
        _K.SESSION_UNSURE: Template(
            "Not sure whether the exchange is open", "check the exchange; the exit goes at the next sure open."
        ),
        _K.SESSION_UNPREPARED: Template(
            "The day is not prepared",
            "nothing at first, it is tried again every quarter of an hour; "
            "if it repeats, see whether the broker's data and the schedule are well.",
        ),
        _K.TRADING_STATE: Template("Trading state changed", "see the reasons; they say what must end first."),
        _K.RUNAWAY_LOCKED: Template("Symbol locked after too many entries", "find out what keeps buying."),
        _K.BREAKER: Template("Kill switch", "nothing if you meant it; no entry is sent while it is set."),
        _K.LIVE_TRADING: Template(
            "Live trading", "confirm again before it ends, or close the live positions and take the live keys out."
        ),
        _K.CREDENTIAL_DUE: Template(
            "A key or secret must be renewed", "make a new one, store it, then delete the old one."
        ),
        _K.BUDGET_WARNING: Template("Model budget", "nothing; `python -m hearthwatch cost` shows what it went to."),
        _K.BUDGET_SPENT: Template(
            "No more money for models",
            "nothing: stops and rules go on without; `python -m hearthwatch cost` shows what it went to, and "
            "`python -m hearthwatch grant` allows one call more.",
        ),
        _K.BUDGET_WRONG: Template(
            "The model budget does not add up",
            "compare `python -m hearthwatch cost --reconcile` with the provider's own figures before anything else.",
        ),
        _K.MODEL_UNPRICED: Template(
            "A model has no valid price", "add its price, or put another model on its rung; until then it is not asked."
        ),
        _K.WORK_PARKED: Template("A question was asked too often", "read the log for why it never ends."),
        _K.DAILY_SUMMARY: Template("Daily summary", "read it."),
        _K.CHANNEL_DEAD: Template("Alert channel must be mended", "mend the webhook or the address."),
        _K.SYSTEM_ERROR: Template(
            "A step failed", "nothing at first, it is tried again at the next tick; if it repeats, read the log."
        ),
        _K.TEST_MESSAGE: Template("Test message", "nothing; messages arrive here."),
    }
)
"""The words of docs/operations.md, one entry per kind."""
