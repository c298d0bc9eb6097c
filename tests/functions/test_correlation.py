"""One id follows a trade through every function's log, and the log of a quiet minute is short (REC-03, DSH-05)."""

from __future__ import annotations

import json
import logging

import pytest

from shared.adapters.powertools.metrics import MOST_METRICS, UNITS
from shared.bootstrap.entrance import entrance, telemetry
from tests.fakes.house import NVDA, TSLA, House, before_the_fall, specimen
from tests.fakes.log_lines import log_lines

FALL = "2026-06-10T16:03:00Z"
QUIET = {TSLA: "321.40", NVDA: "187.00"}


def test_one_search_shows_a_trade_from_the_tick_to_the_message_about_its_fill() -> None:
    """REC-03: the tick's id up to the order, the intent's id from the decision to the delivered alerts."""
    with House() as house:
        before_the_fall(house)
        with log_lines() as log:
            house.go_on({TSLA: "295.50", NVDA: "187.10"})
            house.go_on()

        (intent,) = [order.client_order_id for order in house.exchange.exchange.orders()]
    told = {function: log.of(function) for function in ("CheckRisk", "PlaceOrders", "RouteAlerts")}
    of_the_fall = {name: [line for line in lines if line["correlation_id"] == FALL] for name, lines in told.items()}
    assert [line["message"] for line in of_the_fall["CheckRisk"] if line.get("intent") == intent] == ["exit prepared"]
    assert [line["message"] for line in of_the_fall["PlaceOrders"] if line.get("intent") == intent] == ["order sent"]
    stop_told = [line for line in of_the_fall["RouteAlerts"] if intent in line.get("alert", "")]
    assert {line["channel"] for line in stop_told} == {"discord", "email"}
    closed = [line for line in log.of("ReconcileOrders") if line.get("intent") == intent]
    assert [(line["message"], line["state"]) for line in closed] == [("order closed", "FILLED")]
    filled_told = [line for line in told["RouteAlerts"] if line["correlation_id"] == closed[0]["correlation_id"]]
    assert any(intent in line["alert"] and line["alert"].startswith("order_filled") for line in filled_told)


def test_quiet_minute_writes_a_few_lines_and_each_is_json() -> None:
    """About 0.5 GB a month is the whole budget: what happens every minute is not told every minute."""
    with House() as house:
        before_the_fall(house)
        house.go_on(QUIET)
        with log_lines() as log:
            runs = house.go_on(QUIET)

        assert all(run.error is None for run in runs)
        assert len(log.lines) <= 3, log.text
        assert len(log.text) < 2_000


def test_failed_run_is_logged_once_with_its_tick_and_its_traceback() -> None:
    with House() as house, log_lines() as log:
        run = house.run("check_risk", {**specimen("check_risk", "tick"), "schedule": ""})

        assert run.error is not None
        (line,) = log.lines
        assert (line["message"], line["level"]) == ("run failed", "ERROR")
        assert "InvalidValue" in line["exception"]


def test_tick_that_fires_between_two_minutes_logs_under_its_minute() -> None:
    """A schedule fires at the second at which it was created, each at its own; their lines belong together."""

    @entrance
    def body(event: dict[str, object], context: object) -> str:
        logging.getLogger("shared.use_cases.check_risk").info("exit prepared")
        return telemetry().correlation_id()

    with House() as house, log_lines() as log:
        event = specimen("check_risk", "tick_between_minutes")
        assert not event["scheduled_at"].startswith("2026-06-10T16:03:00")
        assert body(event, _context(house)) == FALL
    assert [line["correlation_id"] for line in log.lines] == [FALL]


def test_message_without_an_id_is_not_logged_under_that_of_the_message_before() -> None:
    event = specimen("place_orders", "rings_at_once")
    first, second, *_ = event["Records"]
    second["messageAttributes"] = {}
    with House() as house, log_lines() as log:
        before_the_fall(house)
        first["body"] = second["body"] = "no ring of ours"
        house.run("place_orders", {"Records": [first, second]})

    failed = [line["correlation_id"] for line in log.of("PlaceOrders") if line["message"] == "record failed"]
    assert failed == [first["messageAttributes"]["correlation_id"]["stringValue"], ""]


def test_metrics_are_few_named_in_one_table_and_carry_no_symbol(capsys: pytest.CaptureFixture[str]) -> None:
    """DSH-05: CloudWatch gives ten for nothing."""
    told = telemetry()
    for name in (*UNITS, "price of TSLA"):
        told.metrics.put(name, 1.0)
    told.metrics.flush()

    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines() if text.startswith('{"_aws"')]
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert {metric["Name"] for metric in directive["Metrics"]} == set(UNITS)
    assert directive["Dimensions"] == [["service"]]
    assert len(UNITS) <= MOST_METRICS == 10


def _context(house: House) -> object:
    from local_stack.cloud.functions import _context as context_of

    return context_of(house.cloud.functions["CheckRisk"], "request")
