"""The page on which a person reads what Discord and the mail outbox received: plain HTML and CSS, no script.

Everything shown is text from elsewhere: it is escaped, and the page's policy lets a browser load nothing at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from local_stack.exchange.market import NEW_YORK
from local_stack.run.discord_sink import DiscordMessage
from local_stack.run.mail_outbox import Mail

REFRESH_SECONDS: Final = 5
SHOWN: Final = 100
"""Messages and mails shown, the newest; the files hold them all."""

_GREY: Final = 0x99AAB5
_BOLD: Final = re.compile(r"\*\*(.+?)\*\*")
_ESCAPED_MARK: Final = re.compile(r"\\(&gt;|[\\*_~`|#\[\]()-])")
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --dim: #8889; --card: #8881; }
* { box-sizing: border-box; }
body { font: 16px/1.45 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; }
h2 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p { margin: .25rem 0; }
.dim, time { color: GrayText; font-size: .85rem; }
article { background: var(--card); border-left: 4px solid var(--line); border-radius: 4px;
  padding: .6rem .8rem; margin: .6rem 0; overflow-wrap: anywhere; }
article h3 { font-size: 1rem; margin: .1rem 0 .3rem; }
.text { white-space: pre-wrap; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .4rem .8rem;
  margin: .5rem 0 0; }
.wide { grid-column: 1 / -1; }
dt { font-size: .8rem; color: GrayText; }
dd { margin: 0; }
summary { cursor: pointer; }
pre { white-space: pre-wrap; font: 13px/1.4 ui-monospace, monospace; margin: .5rem 0 0; }
nav a { margin-right: 1rem; }
"""


class MessagePage:
    """Shows what arrived, the newest first, and loads itself anew every few seconds."""

    def __init__(
        self,
        now: Callable[[], datetime],
        messages: Callable[[], Sequence[DiscordMessage]],
        mails: Callable[[], Sequence[Mail]],
        note: str,
    ) -> None:
        """Show what two sinks hold; `note` says where messages went and whose time this is."""
        self._now = now
        self._note = note
        self._messages = messages
        self._mails = mails

    def routes(self) -> list[Route]:
        """Give the page's route."""
        return [Route("/", self._page, methods=["GET"])]

    async def _page(self, _: Request) -> Response:
        return HTMLResponse(page_of(self._now(), self._messages(), self._mails(), self._note), headers=_HEADERS)


def page_of(now: datetime, messages: Sequence[DiscordMessage], mails: Sequence[Mail], note: str) -> str:
    """Write the whole page."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">',
            f"<title>Hearthwatch: {len(messages)} messages</title>",
            f"<style>{_STYLE}</style></head><body>",
            "<h1>Hearthwatch told</h1>",
            f'<p class="dim">{_time(now)}. {escape(note)}</p>',
            f'<nav class="dim"><a href="#discord">Discord ({len(messages)})</a><a href="#mail">Mail ({len(mails)})</a>'
            "</nav>",
            '<h2 id="discord">Discord</h2>',
            *(_message(message) for message in reversed(messages[-SHOWN:])),
            *_nothing(messages),
            '<h2 id="mail">Mail</h2>',
            *(_mail(mail) for mail in reversed(mails[-SHOWN:])),
            *_nothing(mails),
            "</body></html>",
        ]
    )


def _message(message: DiscordMessage) -> str:
    colour = next((embed["color"] for embed in message.embeds if isinstance(embed.get("color"), int)), _GREY)
    parts = [f"<article style='border-left-color: #{colour & 0xFFFFFF:06x}'>", _time(message.at)]
    if message.content:
        parts.append(f"<p class='text'>{_marked(message.content)}</p>")
    for embed in message.embeds:
        parts += _embed(embed)
    return "".join([*parts, "</article>"])


def _embed(embed: Mapping[str, Any]) -> Iterator[str]:
    if embed.get("title"):
        yield f"<h3>{_marked(embed['title'])}</h3>"
    if embed.get("description"):
        yield f"<p class='text'>{_marked(embed['description'])}</p>"
    fields = embed.get("fields") or []
    if fields:
        yield "<dl>"
        for field in fields:
            kind = "" if field.get("inline") else " class='wide'"
            yield f"<div{kind}><dt>{_marked(field.get('name'))}</dt><dd>{_marked(field.get('value'))}</dd></div>"
        yield "</dl>"
    footer = embed.get("footer") or {}
    if footer.get("text"):
        yield f"<p class='dim'>{_marked(footer['text'])}</p>"


def _mail(mail: Mail) -> str:
    where = f"<p class='dim'>to {escape(mail.to)}, {escape(mail.name)}</p>"
    body = f"<summary>{escape(mail.subject)}</summary>{where}<pre>{escape(mail.text)}</pre>"
    return f"<article>{_moment(mail.at)}<details>{body}</details></article>"


def _nothing(listed: Sequence[object]) -> list[str]:
    return [] if listed else ["<p class='dim'>nothing yet</p>"]


def _marked(text: object) -> str:
    """Escape, then show Discord's bold as bold and its escaped marks as themselves."""
    bold = _BOLD.sub(r"<strong>\1</strong>", escape(str(text)))
    return _ESCAPED_MARK.sub(r"\1", bold)


def _moment(text: str) -> str:
    try:
        return _time(datetime.fromisoformat(text))
    except ValueError:
        return ""


def _time(at: datetime) -> str:
    there = at.astimezone(NEW_YORK)
    return f'<time datetime="{escape(at.isoformat())}">{there:%a %d %b, %H:%M} New York</time>'
