"""Take secrets out of everything that is written down (SEC-01, fault 41).

Decided: the finished text of a line is searched, tracebacks included, for every form in which a secret could have got
into it, rather than the values before they are formatted: what builds a message is not ours to know.
"""

from __future__ import annotations

import json
import logging
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from itertools import product
from typing import Final
from urllib.parse import quote, quote_plus, urlsplit

from pydantic import SecretStr

from shared.domain.errors import InvalidValue

MARK: Final = "[***]"
SHORTEST_SECRET: Final = 6
"""Anything shorter would be found in innocent text; longer than the mark, so that redacting comes to an end."""


class Redactor:
    """Knows the secrets of the process and takes them out of texts."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._forms: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say how many secrets are known, and nothing else."""
        return f"Redactor({len(self._secrets)} secrets)"

    def learn(self, secret: SecretStr) -> None:
        """Take out a secret from now on; raises InvalidValue for one too short to be told from other text."""
        value = secret.get_secret_value()
        if len(value) < SHORTEST_SECRET:
            raise InvalidValue("secret", secret, f"at least {SHORTEST_SECRET} characters")
        if value not in self._secrets:
            self._secrets.add(value)
            self._forms = tuple(sorted(_forms(self._secrets), key=len, reverse=True))

    def redact(self, text: str) -> str:
        """Replace every form of every secret; none is left even where a replacement makes one."""
        while any(form in text for form in self._forms):
            for form in self._forms:
                text = text.replace(form, MARK)
        return text

    def line(self, record: logging.LogRecord, write: Callable[[logging.LogRecord], str]) -> str:
        """Write a log line and redact it; a record that cannot be written is told by its parts.

        Left to itself, logging would print the arguments of such a record as they are.
        """
        try:
            text = write(record)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach logging's own printing
            text = f"{record.levelname} {record.name}: {record.msg!r} {record.args!r} (not formatted: {error!r})"
        return self.redact(text)


class RedactingFormatter(logging.Formatter):
    """Lets another formatter write the line, then redacts it."""

    def __init__(self, inner: logging.Formatter, redactor: Redactor) -> None:
        super().__init__()
        self._inner = inner
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Write the line."""
        return self._redactor.line(record, self._inner.format)


def _forms(secrets: set[str]) -> set[str]:
    """List every text that gives a secret away, as it is and as programs write it inside other texts."""
    plain = {part for secret in secrets for part in _parts(secret)}
    plain |= {coded for pair in product(sorted(secrets), repeat=2) for coded in _basic(*pair)}
    encoded = plain | {encode(text) for text in plain for encode in (*_ENCODINGS, *_ESCAPES)}
    return encoded | {escape(text) for text in encoded for escape in _ESCAPES}


def _parts(secret: str) -> Iterator[str]:
    """Give the secret, and of an address also the path and its last step: messages name these alone."""
    yield secret
    path = urlsplit(secret).path if secret.startswith(("https://", "http://")) else ""
    yield from (part for part in (path, path.rpartition("/")[2]) if len(part) >= SHORTEST_SECRET)


def _basic(key: str, secret: str) -> Iterator[str]:
    """Give what HTTP's basic authentication makes of a key and its secret."""
    pair = f"{key}:{secret}".encode()
    yield from (encode(pair).decode().rstrip("=") for encode in (b64encode, urlsafe_b64encode))


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json_unicode(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _repr(text: str) -> str:
    return repr(text)[1:-1]


def _repr_bytes(text: str) -> str:
    return repr(text.encode())[2:-1]


_ESCAPES: Final[tuple[Callable[[str], str], ...]] = (_json, _json_unicode, _repr, _repr_bytes)
_ENCODINGS: Final[tuple[Callable[[str], str], ...]] = (quote, quote_plus, lambda text: quote(text, safe=""))
