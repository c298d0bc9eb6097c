"""What every archive of prices promises, on memory and on a bucket."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.adapters.aws.archive import S3PriceArchive, key_of
from shared.adapters.aws.clients import Aws
from shared.adapters.memory.archive import MemoryPriceArchive
from shared.adapters.memory.prices import MemoryPriceStore
from shared.contracts.stored import NewerSchema, Unreadable
from shared.domain.assets import Symbol
from shared.domain.errors import InvalidValue
from shared.domain.quotes import NO_DOUBTS, Doubt, JudgedQuote
from shared.domain.times import Tick
from shared.ports.archive import PriceArchive
from shared.ports.prices import Minute

HOUR = datetime(2026, 6, 10, 14, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TSLA, BRK = Symbol("TSLA"), Symbol("BRK.B")
BUCKET = "hearthwatch-archive"
KEY = "prices/2026/06/10/14.jsonl.gz"


@pytest.fixture
def bucket(aws: Aws) -> Iterator[Aws]:
    aws.s3.create_bucket(Bucket=BUCKET)
    yield aws
    for stored in aws.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        aws.s3.delete_object(Bucket=BUCKET, Key=stored["Key"])
    aws.s3.delete_bucket(Bucket=BUCKET)


def in_bucket(request: pytest.FixtureRequest) -> PriceArchive:
    return S3PriceArchive(request.getfixturevalue("bucket").s3, BUCKET)


ARCHIVES: dict[str, Callable[[pytest.FixtureRequest], PriceArchive]] = {
    "memory": lambda _: MemoryPriceArchive(),
    "bucket": in_bucket,
}


@pytest.fixture(params=sorted(ARCHIVES))
def archive(request: pytest.FixtureRequest) -> PriceArchive:
    return ARCHIVES[request.param](request)


def judged(symbol: Symbol, price: str, at: datetime = HOUR) -> JudgedQuote:
    amount = Decimal(price)
    return JudgedQuote(symbol, amount, amount, amount, at, "alpaca-iex", NO_DOUBTS, amount, at, None, None)


def blind(symbol: Symbol) -> JudgedQuote:
    doubts = frozenset({Doubt.STALE, Doubt.UNCONFIRMED, Doubt.BACKUP_PRICE})
    return JudgedQuote(
        symbol, None, None, None, None, "none", doubts, Decimal("320.125"), HOUR, Decimal("201.50"), HOUR - MINUTE
    )


def story(minutes: int = 60) -> list[Minute]:
    at = [HOUR + number * MINUTE for number in range(minutes)]
    return [Minute(time, {TSLA: judged(TSLA, f"320.{time.minute:02}00", time), BRK: blind(BRK)}) for time in at]


def test_an_hour_reads_back_equal(archive: PriceArchive) -> None:
    archive.put(HOUR, story())

    assert list(archive.get(HOUR) or ()) == story()


def test_a_price_keeps_its_digits(archive: PriceArchive) -> None:
    archive.put(HOUR, story(1))

    [minute] = archive.get(HOUR) or ()
    assert str(minute.quotes[TSLA].price) == "320.0000"


def test_what_a_store_hands_out_is_archived_and_reads_back_equal(archive: PriceArchive) -> None:
    store = MemoryPriceStore()
    for minute in story(16):
        store.put_minute(Tick(scheduled=minute.at), minute.quotes)
    window = store.window(HOUR, HOUR + timedelta(hours=1))

    archive.put(HOUR, window)

    assert list(archive.get(HOUR) or ()) == list(window)


def test_an_hour_that_was_never_archived_is_absent(archive: PriceArchive) -> None:
    archive.put(HOUR, story(3))

    assert archive.has(HOUR)
    assert not archive.has(HOUR + timedelta(hours=1))
    assert archive.get(HOUR + timedelta(hours=1)) is None


def test_an_hour_without_minutes_is_archived_all_the_same(archive: PriceArchive) -> None:
    archive.put(HOUR, [])

    kept = archive.get(HOUR)
    assert archive.has(HOUR)
    assert kept is not None
    assert list(kept) == []


def test_the_later_archive_of_an_hour_stands(archive: PriceArchive) -> None:
    archive.put(HOUR, story(3))
    archive.put(HOUR, story(5))

    assert list(archive.get(HOUR) or ()) == story(5)


@pytest.mark.parametrize(
    "hour",
    [HOUR + MINUTE, HOUR + timedelta(microseconds=1), HOUR.replace(tzinfo=None),
     HOUR.astimezone(timezone(timedelta(hours=-4)))],
)  # fmt: skip
def test_what_is_no_hour_is_refused(archive: PriceArchive, hour: datetime) -> None:
    for refused in (lambda: archive.put(hour, []), lambda: archive.has(hour), lambda: archive.get(hour)):
        with pytest.raises(InvalidValue, match="hour"):
            refused()


@pytest.mark.parametrize("places", [[-1, 0], [59, 60], [1, 0], [0, 0]])
def test_minutes_that_are_not_of_the_hour_in_order_are_refused(archive: PriceArchive, places: list[int]) -> None:
    with pytest.raises(InvalidValue, match="minutes"):
        archive.put(HOUR, [Minute(HOUR + place * MINUTE, {}) for place in places])
    assert not archive.has(HOUR)


PRICES = st.decimals(min_value="0.0001", max_value="100000", places=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.dictionaries(st.integers(0, 59), st.dictionaries(st.sampled_from([TSLA, BRK]), PRICES), max_size=6))
def test_any_hour_reads_back_equal(archive: PriceArchive, prices: dict[int, dict[Symbol, Decimal]]) -> None:
    minutes = [
        Minute(HOUR + place * MINUTE, {symbol: judged(symbol, str(price)) for symbol, price in prices[place].items()})
        for place in sorted(prices)
    ]

    archive.put(HOUR, minutes)

    assert list(archive.get(HOUR) or ()) == minutes


def stored_keys(aws: Aws) -> list[str]:
    return [each["Key"] for each in aws.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def stored_bytes(aws: Aws) -> bytes:
    return aws.s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()


def test_the_same_hour_put_twice_is_one_object_of_the_same_bytes(bucket: Aws) -> None:
    archive = S3PriceArchive(bucket.s3, BUCKET)
    archive.put(HOUR, story())
    first = stored_bytes(bucket)
    archive.put(HOUR, story())

    assert stored_keys(bucket) == [KEY] == [key_of(HOUR)]
    assert stored_bytes(bucket) == first
    assert first[4:8] == bytes(4), "the time of packing is left out"


def test_an_object_is_one_line_of_json_a_minute(bucket: Aws) -> None:
    S3PriceArchive(bucket.s3, BUCKET).put(HOUR, story(3))

    lines = gzip.decompress(stored_bytes(bucket)).decode().splitlines()

    assert [json.loads(line)["at"] for line in lines] == [f"2026-06-10T14:0{minute}:00Z" for minute in range(3)]


def spoil(aws: Aws, body: bytes, schema: str = "1") -> None:
    aws.s3.put_object(Bucket=BUCKET, Key=KEY, Body=body, Metadata={"schema": schema})


DAMAGED = {
    "empty": b"",
    "not packed": b"not packed",
    "no minute": gzip.compress(b"{}\n"),
    "no text": gzip.compress(b"\xff"),
    "cut off": gzip.compress(b"{}")[:-4],
}


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_object_is_named_and_never_taken_for_an_hour(bucket: Aws, body: bytes) -> None:
    spoil(bucket, body)

    with pytest.raises(Unreadable, match=KEY):
        S3PriceArchive(bucket.s3, BUCKET).get(HOUR)


def test_an_object_of_a_newer_version_is_left_alone(bucket: Aws) -> None:
    spoil(bucket, gzip.compress(b"{}\n"), schema="99")

    with pytest.raises(NewerSchema, match=KEY):
        S3PriceArchive(bucket.s3, BUCKET).get(HOUR)


def test_an_object_without_a_schema_is_no_hour(bucket: Aws) -> None:
    bucket.s3.put_object(Bucket=BUCKET, Key=KEY, Body=gzip.compress(b""))

    with pytest.raises(Unreadable, match=KEY):
        S3PriceArchive(bucket.s3, BUCKET).get(HOUR)
