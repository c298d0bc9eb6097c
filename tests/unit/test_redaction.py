"""No secret reaches a log line, whatever carried it there (SEC-01, fault 41)."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.bootstrap.redaction import MARK, SHORTEST_SECRET, RedactingFormatter, Redactor
from shared.domain.errors import InvalidValue, Unavailable

KEY = "PKQ7Z2X4M9T1"
SECRET = "s3cr3t/with+signs=and%percent"
TOKEN = "Zq-81_xhT5vPqLm0RzKw"
WEBHOOK = f"https://discord.com/api/webhooks/1234567890/{TOKEN}"
SECRETS = (KEY, SECRET, WEBHOOK)

VISIBLE = st.characters(min_codepoint=33, max_codepoint=126)
PLANTED = st.lists(st.text(VISIBLE, min_size=SHORTEST_SECRET, max_size=40), min_size=1, max_size=4)
ANY_TEXT = st.text(min_size=SHORTEST_SECRET, max_size=20)


def redactor_of(*secrets: str) -> Redactor:
    redactor = Redactor()
    for secret in secrets:
        redactor.learn(SecretStr(secret))
    return redactor


class JsonLines(logging.Formatter):
    """Lines as a function writes them: one JSON object, tracebacks and extra fields inside."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "message": record.getMessage(),
                "exception": self.formatException(record.exc_info) if record.exc_info else None,
                "stack": self.formatStack(record.stack_info) if record.stack_info else None,
                "extra": repr(getattr(record, "detail", None)),
                "plain": getattr(record, "detail", None),
            },
            default=str,
        )


FORMATS: dict[str, logging.Formatter] = {
    "plain": logging.Formatter("%(asctime)s %(levelname)s %(message)s %(detail)s", defaults={"detail": ""}),
    "json": JsonLines(),
}


@contextmanager
def logging_to(inner: logging.Formatter, *secrets: str) -> Iterator[tuple[logging.Logger, io.StringIO]]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(RedactingFormatter(inner, redactor_of(*secrets)))
    logger = logging.Logger("hearthwatch.test")
    logger.addHandler(handler)
    yield logger, written
    handler.close()


def read_back(line: str) -> str:
    """Undo what writing a line did to the texts in it."""
    try:
        return "\n".join(map(str, json.loads(line).values()))
    except ValueError:
        return line


def fail_with(secret: str) -> None:
    """Fail the way adapters do: a library's error that quotes the secret, and ours on top of it."""
    try:
        try:
            raise KeyError(secret)
        except KeyError as first:
            raise ValueError(f"header {secret} is not valid") from first
    except ValueError as second:
        raise Unavailable(f"GET /{quote(secret, safe='')}: failed") from second


def fail_in_passing(secret: str) -> None:
    try:
        raise ConnectionError(secret)
    except ConnectionError:
        raise RuntimeError({"headers": {"secret": secret}, "raw": secret.encode()})  # noqa: B904 - the context is the case


def fail_in_a_group(secret: str) -> None:
    raise ExceptionGroup("several", [ValueError(secret), OSError(5, secret, secret)])


def fail_with_a_note(secret: str) -> None:
    error = RuntimeError("nothing here")
    error.add_note(f"but here: {secret}")
    raise error


FAILURES: list[Callable[[str], None]] = [fail_with, fail_in_passing, fail_in_a_group, fail_with_a_note]


def log_everywhere(logger: logging.Logger, secret: str, fail: Callable[[str], None]) -> None:
    logger.info("plain %s", secret)
    logger.info("as a value %r in %s", secret, {"nested": [secret]})
    logger.warning(secret, extra={"detail": {"token": secret}}, stack_info=True)
    logger.error("coded %s %s", quote(secret, safe=""), base64.b64encode(f"{KEY}:{secret}".encode()).decode())
    try:
        fail(secret)
    except Exception as error:
        logger.exception("failed: %s", error, extra={"detail": error})


@pytest.mark.parametrize("inner", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("fail", FAILURES)
@pytest.mark.parametrize("secret", [KEY, SECRET, WEBHOOK])
def test_a_known_secret_is_in_no_line_and_no_traceback(
    inner: logging.Formatter, fail: Callable[[str], None], secret: str
) -> None:
    with logging_to(inner, *SECRETS) as (logger, written):
        log_everywhere(logger, secret, fail)

    text = written.getvalue()
    assert text.count(MARK) >= 6
    everything = "\n".join([text, *map(read_back, text.splitlines()), unquote(text)])
    assert secret not in everything
    assert repr(secret)[1:-1] not in everything
    assert TOKEN not in everything
    assert base64.b64encode(f"{KEY}:{secret}".encode()).decode().rstrip("=") not in everything


@given(PLANTED, st.sampled_from(FAILURES), st.sampled_from(sorted(FORMATS)))
def test_no_planted_secret_survives_in_any_line(secrets: list[str], fail: Callable[[str], None], name: str) -> None:
    with logging_to(FORMATS[name], *secrets) as (logger, written):
        for secret in secrets:
            log_everywhere(logger, secret, fail)

    text = written.getvalue()
    for secret in secrets:
        assert secret not in text
        assert quote(secret, safe="") not in text
        for line in text.splitlines():
            assert secret not in read_back(line)


@given(PLANTED, st.lists(st.text() | st.integers(0, 3), max_size=12))
def test_no_secret_is_left_wherever_it_stands_and_however_they_overlap(secrets: list[str], parts: list[object]) -> None:
    text = "".join(secrets[part % len(secrets)] if isinstance(part, int) else str(part) for part in parts)

    clean = redactor_of(*secrets).redact(text)

    assert not any(secret in clean for secret in secrets)


def test_a_secret_that_begins_like_another_leaves_no_end() -> None:
    assert redactor_of("PKQ7Z2X4", "PKQ7Z2X4M9T1").redact("PKQ7Z2X4M9T1") == MARK


def test_a_secret_that_appears_by_redacting_another_is_redacted_too() -> None:
    assert redactor_of("abcdef", f"12{MARK}34").redact("12abcdef34") == MARK


@given(ANY_TEXT, st.sampled_from([quote, quote_plus, lambda text: quote(text, safe="")]))
def test_a_secret_in_an_address_is_found(secret: str, encode: Callable[[str], str]) -> None:
    clean = redactor_of(secret).redact(f"GET /v2/{encode(secret)}?page=1")

    assert secret not in unquote(clean)
    assert secret not in unquote_plus(clean)


@given(ANY_TEXT, st.booleans())
def test_a_secret_in_json_is_found_and_the_json_stays_json(secret: str, ascii_only: bool) -> None:
    assume(secret not in '{"header": ""}')
    line = json.dumps({"header": f"<{secret}>"}, ensure_ascii=ascii_only)

    clean = redactor_of(secret).redact(line)

    assert json.loads(clean) == {"header": f"<{MARK}>"}


@given(ANY_TEXT)
def test_a_secret_in_a_json_line_about_an_exception_is_found(secret: str) -> None:
    assume(not re.search("['\"]", secret))
    line = json.dumps({"exception": f"KeyError({secret!r})", "raw": repr(secret.encode())})

    clean = redactor_of(secret).redact(line)

    assert repr(secret)[1:-1] not in json.loads(clean)["exception"]
    assert repr(secret.encode())[2:-1] not in json.loads(clean)["raw"]


@pytest.mark.parametrize(
    "leak",
    [WEBHOOK, f"/api/webhooks/1234567890/{TOKEN}", f"token {TOKEN} refused", WEBHOOK + "?wait=true",
     quote(WEBHOOK, safe=""), WEBHOOK.replace("/", "\\/").replace("\\/", "/")],
)  # fmt: skip
def test_an_address_gives_away_neither_its_path_nor_its_token(leak: str) -> None:
    clean = redactor_of(WEBHOOK).redact(f"POST {leak} failed")

    assert TOKEN not in clean
    assert MARK in clean


def test_basic_authentication_of_two_secrets_is_found_whichever_was_learnt_first() -> None:
    header = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()

    for redactor in (redactor_of(KEY, SECRET), redactor_of(SECRET, KEY)):
        assert redactor.redact(header).startswith(f"Basic {MARK}")
        assert len(redactor.redact(header)) < len(f"Basic {MARK}") + 3


def test_secrets_learnt_later_are_redacted_and_the_earlier_stay_known() -> None:
    redactor = redactor_of(KEY)
    assert redactor.redact(f"{KEY} {SECRET}") == f"{MARK} {SECRET}"

    redactor.learn(SecretStr(SECRET))
    redactor.learn(SecretStr(SECRET))

    assert redactor.redact(f"{KEY} {SECRET}") == f"{MARK} {MARK}"


@given(st.text())
def test_text_without_a_secret_is_left_as_it_is(text: str) -> None:
    assume(KEY not in text)

    assert redactor_of(KEY).redact(text) == text
    assert Redactor().redact(text) == text


@pytest.mark.parametrize("short", ["", "abc", "x" * (SHORTEST_SECRET - 1)])
def test_a_secret_too_short_to_find_is_refused_unshown(short: str) -> None:
    with pytest.raises(InvalidValue, match="at least 6 characters") as caught:
        Redactor().learn(SecretStr(short))

    assert not short or short not in str(caught.value)


def test_a_redactor_does_not_show_what_it_knows() -> None:
    redactor = redactor_of(*SECRETS)

    assert repr(redactor) == "Redactor(3 secrets)"
    assert not any(secret in f"{redactor}" for secret in SECRETS)


def test_a_record_that_cannot_be_formatted_is_told_without_its_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to(FORMATS["plain"], *SECRETS) as (logger, written):
        logger.warning("%d tries with %s", SECRET)

    text = written.getvalue() + "".join(capsys.readouterr())
    assert "%d tries with %s" in text
    assert MARK in text
    assert SECRET not in text


def test_one_formatter_serves_many_records() -> None:
    with logging_to(FORMATS["plain"], KEY) as (logger, written):
        for number in range(3):
            logger.warning("%s %s", number, KEY)

    assert [line.split()[-2:] for line in written.getvalue().splitlines()] == [[str(n), MARK] for n in range(3)]


def test_the_failures_thrown_here_do_carry_the_secret() -> None:
    for fail in FAILURES:
        try:
            fail(KEY)
        except Exception:  # noqa: BLE001 - every kind of failure is thrown
            assert KEY in traceback.format_exc()
