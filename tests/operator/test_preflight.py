"""Preflight: a healthy stack has nothing to say, and each thing that is broken is named with what to do about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import pytest
from botocore.config import Config
from moto.backends import get_backend

from local_stack.cloud.door import Misbehaviour
from local_stack.exchange.gate import Misbehaviour as AtExchange
from shared.adapters.aws.fractional_probes import PROBE
from shared.adapters.memory.clock import SimulatedClock
from shared.bootstrap.cloud import EVERY_SECRET
from shared.domain.gate import FractionalSupport
from shared.domain.intents import OrderType
from shared.domain.model_prices import HAIKU, OPUS, SONNET
from shared.domain.reconciliation import BrokerFacts
from tests.fakes.discord import GONE, DiscordDouble
from tests.fakes.scripted_http import ScriptedServer, Step, reply
from tests.operator.deployment import EVENING, NOON, NVDA, TSLA, Deployment, Done, results

EARLY = '{"deadLetterTargetArn": "%s", "maxReceiveCount": 1}'
ONCE = Config(retries={"total_max_attempts": 1})
Break = Callable[[Deployment], object]
ALPACA = {
    "clock and Alpaca": "failed",
    "broker account": "failed",
    "market data": "failed",
    "calendar": "failed",
    "judged prices": "failed",
    "reconciliation": "failed",
    "fractions": "failed",
}
"""What cannot be looked at without the paper account's keys."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that is broken, what is said about it, and how the checks go."""

    broken: Break
    says: str
    wrong: Mapping[str, str]
    watchlist: str = "TSLA,NVDA"


def removed(secret: str) -> Break:
    return lambda d: d.cloud.client("ssm").delete_parameter(Name=f"/hearthwatch/{secret}")


def aged(secret: str, by: timedelta) -> Break:
    def make_old(d: Deployment) -> None:
        account = d.cloud.stack.place.account
        stored = get_backend("ssm")[account]["us-east-1"]._parameters[f"/hearthwatch/{secret}"]
        for version in stored:
            version.last_modified_date = (d.clock.now() - by).timestamp()  # type: ignore[assignment]

    return make_old


def schedule(**changes: object) -> Break:
    def change(d: Deployment) -> None:
        scheduler, name = d.cloud.client("scheduler"), d.cloud.physical("CheckRiskEveryMinute")
        kept = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "State", "Target")
        found = {key: value for key, value in scheduler.get_schedule(Name=name).items() if key in kept}
        found["Target"] = {**found["Target"], **changes.get("target", {})}  # type: ignore[dict-item]
        scheduler.update_schedule(**{**found, "State": changes.get("state", found["State"])})

    return change


def table(service: str, **change: object) -> Break:
    def alter(d: Deployment) -> None:
        call = getattr(d.cloud.client("dynamodb"), service)
        call(TableName=d.cloud.physical("BookTable"), **change)

    return alter


def redrive(policy: str) -> Break:
    def change(d: Deployment) -> None:
        aside = d.cloud.stack.arn("AlertsDeadLetters")
        d.cloud.client("sqs").set_queue_attributes(
            QueueUrl=d.cloud.physical("AlertsQueue"), Attributes={"RedrivePolicy": policy.replace("%s", aside)}
        )

    return change


def a_failed_run(d: Deployment) -> None:
    d.cloud.client("sqs").send_message(QueueUrl=d.cloud.physical("FailedRuns"), MessageBody="{}")


def eleven_metrics(d: Deployment) -> None:
    for number in range(11):
        d.cloud.client("cloudwatch").put_metric_data(
            Namespace="Hearthwatch", MetricData=[{"MetricName": f"metric-{number}", "Value": 1}]
        )


def book_behind_the_broker(d: Deployment) -> None:
    d.exchange.exchange.seed_position(NVDA, Decimal("2.5"), Decimal(180))
    d.ports.records.put(BrokerFacts(at=d.clock.now(), cash=Decimal(100_000), equity=Decimal(100_000), quantities={}))


def nobody_hears_alarms(d: Deployment) -> None:
    sns = d.cloud.client("sns")
    for each in sns.list_subscriptions()["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])


def failing(path: str) -> Break:
    return lambda d: d.exchange.misbehave(AtExchange.GATEWAY_TIMEOUT_BEFORE_ACCEPT, path=path, times=99)


CASES: Mapping[str, Case] = {
    "an asset class that is not admitted": Case(
        watchlist="TSLA,BTC/USD",
        broken=lambda d: None,
        says="BTC/USD",
        wrong={
            "settings": "failed", "market data": "failed", "backup prices": "failed", "judged prices": "failed",
            "fractions": "failed",
        },
    ),
    "a function that is gone": Case(
        broken=lambda d: d.cloud.client("lambda").delete_function(FunctionName=d.cloud.physical("PollPrices")),
        says="PollPrices is not there",
        wrong={"functions": "failed"},
    ),
    "a schedule that is gone": Case(
        broken=lambda d: d.cloud.client("scheduler").delete_schedule(Name=d.cloud.physical("CheckRiskEveryMinute")),
        says="CheckRiskEveryMinute is not there",
        wrong={"schedules": "failed"},
    ),
    "a schedule that was switched by hand": Case(
        broken=schedule(state="ENABLED"),
        says="CheckRiskEveryMinute is ENABLED, deployed DISABLED",
        wrong={"schedules": "warning"},
    ),
    "a schedule that starts something else": Case(
        broken=schedule(target={"Arn": "arn:aws:lambda:us-east-1:000000000001:function:another"}),
        says="starts another instead of CheckRisk",
        wrong={"schedules": "failed"},
    ),
    "a schedule without a place for what fails": Case(
        broken=schedule(target={"DeadLetterConfig": {}}),
        says="what it cannot start does not go to FailedRuns",
        wrong={"schedules": "failed"},
    ),
    "nobody who hears the alarms": Case(
        broken=nobody_hears_alarms, says="nobody hears CloudWatch's alarms", wrong={"alarms": "warning"}
    ),
    "no paper key": Case(
        broken=removed("alpaca-paper-key-id"),
        says="missing in the parameter store: /hearthwatch/alpaca-paper-key-id; set with `make secrets`",
        wrong={"alpaca-paper-key-id": "failed", **ALPACA},
    ),
    "no paper secret": Case(
        broken=removed("alpaca-paper-secret"),
        says="missing in the parameter store: /hearthwatch/alpaca-paper-secret",
        wrong={"alpaca-paper-secret": "failed", **ALPACA},
    ),
    "no webhook": Case(
        broken=removed("discord-webhook-url"),
        says="store it with `make secrets`",
        wrong={"discord-webhook-url": "failed", "message to Discord": "failed"},
    ),
    "a key that is nearly too old": Case(
        broken=aged("alpaca-paper-key-id", timedelta(days=80)),
        says="stored, 80 days old, replace it soon",
        wrong={"alpaca-paper-key-id": "warning"},
    ),
    "live keys on paper": Case(
        broken=lambda d: d.store(alpaca_live_key_id="AKSIMULATOR", alpaca_live_secret="simulated-live"),
        says="live trading is not switched on",
        wrong={
            "trading": "failed", "calendar": "failed", "reconciliation": "failed",
        },
    ),
    "a live key in the paper slot": Case(
        broken=lambda d: d.store(alpaca_paper_key_id="AKSIMULATOR"),
        says="alpaca-paper-key-id holds a live key, expected a paper key",
        wrong=ALPACA,
    ),
    "a table without recovery": Case(
        broken=table(
            "update_continuous_backups", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
        ),
        says="it cannot be recovered to a point in time",
        wrong={"BookTable": "failed"},
    ),
    "a table that forgets nothing": Case(
        broken=table(
            "update_time_to_live", TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires"}
        ),
        says="its items are not forgotten as they should be",
        wrong={"BookTable": "failed"},
    ),
    "a table without protection": Case(
        broken=table("update_table", DeletionProtectionEnabled=False),
        says="it is not protected from deletion",
        wrong={"BookTable": "failed"},
    ),
    "a table without its index": Case(
        broken=table("update_table", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "watched"}}]),
        says="it has no index 'watched'",
        wrong={"BookTable": "failed"},
    ),
    "a Book that takes no writes": Case(
        broken=lambda d: d.cloud.misbehave(Misbehaviour.DENY, "dynamodb:PutItem", caller="owner", times=99),
        says="PutItem: AWS answered AccessDenied",
        wrong={"writing": "failed", "fractions": "failed"},
    ),
    "a queue whose failures go nowhere": Case(
        broken=redrive(""),
        says="AlertsQueue: what cannot be handled does not go to AlertsDeadLetters",
        wrong={"AlertsQueue": "failed"},
    ),
    "a queue that gives up early": Case(
        broken=redrive(EARLY),
        says="AlertsQueue: a message is tried 1 times, expected 5",
        wrong={"AlertsQueue": "failed"},
    ),
    "a queue that is gone": Case(
        broken=lambda d: d.cloud.client("sqs").delete_queue(QueueUrl=d.cloud.physical("DoorbellQueue")),
        says="AWS answered AWS.SimpleQueueService.NonExistentQueue to GetQueueAttributes",
        wrong={"DoorbellQueue": "failed"},
    ),
    "a run that failed": Case(broken=a_failed_run, says="FailedRuns holds 1", wrong={"dead letters": "warning"}),
    "an archive that is gone": Case(
        broken=lambda d: d.cloud.client("s3").delete_bucket(Bucket=d.cloud.physical("ArchiveBucket")),
        says="AWS answered 404 to HeadBucket",
        wrong={"archive": "failed"},
    ),
    "an archive in the clear": Case(
        broken=lambda d: d.cloud.client("s3").delete_bucket_encryption(Bucket=d.cloud.physical("ArchiveBucket")),
        says="GetBucketEncryption",
        wrong={"archive": "failed"},
    ),
    "logs that are kept for ever": Case(
        broken=lambda d: d.cloud.client("logs").delete_retention_policy(
            logGroupName="/aws/lambda/hearthwatch/check_risk"
        ),
        says="/aws/lambda/hearthwatch/check_risk is kept for ever",
        wrong={"logs": "failed"},
    ),
    "a log group that is gone": Case(
        broken=lambda d: d.cloud.client("logs").delete_log_group(logGroupName="/aws/lambda/hearthwatch/check_risk"),
        says="/aws/lambda/hearthwatch/check_risk is not there",
        wrong={"logs": "failed"},
    ),
    "too many metrics": Case(
        broken=eleven_metrics, says="11 custom metrics, of which 10 cost nothing", wrong={"metrics": "warning"}
    ),
    "an account that does not answer": Case(
        broken=failing("/v2/account"),
        says="account: Alpaca answered 504",
        wrong={"broker account": "failed", "reconciliation": "failed"},
    ),
    "market data that does not answer": Case(
        broken=failing("/v2/stocks/snapshots"),
        says="snapshots: Alpaca answered 504",
        wrong={"market data": "failed", "judged prices": "warning", "fractions": "warning"},
    ),
    "a symbol that nobody knows": Case(
        watchlist="TSLA,ZZZZ",
        broken=lambda d: None,
        says="Alpaca knows no ZZZZ",
        wrong={"market data": "failed", "backup prices": "warning", "judged prices": "warning"},
    ),
    "no second source": Case(
        broken=lambda d: d.yahoo.replies.clear(), says="no price of TSLA, NVDA", wrong={"backup prices": "warning"}
    ),
    "a calendar that does not answer": Case(
        broken=failing("/v2/calendar"), says="calendar: Alpaca answered 504", wrong={"calendar": "failed"}
    ),
    "prices of some minutes ago": Case(
        broken=lambda d: d.exchange.date_quotes_back(timedelta(minutes=5)),
        says="TSLA 321.5 (backup_price",
        wrong={"judged prices": "warning", "fractions": "warning"},
    ),
    "a Book behind the broker": Case(
        broken=book_behind_the_broker,
        says="NVDA: the Book has 0, the broker 2.5",
        wrong={"reconciliation": "warning"},
    ),
    "a sender that is not verified": Case(
        broken=lambda d: d.cloud.client("sesv2").delete_email_identity(EmailIdentity="watch@example.com"),
        says="not verified: watch@example.com",
        wrong={"mail allowance": "failed", "message by mail": "failed"},
    ),
}  # fmt: skip


def wrong(done: Done) -> dict[str, str]:
    return {name: result for name, result in results(done).items() if result != "ok"}


@pytest.mark.parametrize("name", CASES)
def test_what_is_broken_is_named_and_nothing_else(name: str) -> None:
    case = CASES[name]
    with Deployment(Watchlist=case.watchlist) as deployed:
        case.broken(deployed.ready())
        done = deployed.run("preflight")

    assert case.says in done.out
    assert wrong(done) == case.wrong
    assert done.code == int("failed" in case.wrong.values())
    for check in case.wrong:
        said = done.out.split(f"\n{check} (", 1)[1]
        assert said.splitlines()[1].startswith("  What to do: ")


def test_a_healthy_stack_has_nothing_to_mend() -> None:
    with Deployment() as deployed:
        done = deployed.ready().run("preflight")

    assert (done.code, wrong(done)) == (0, {})
    assert "What to do" not in done.out
    assert len(deployed.discord.taken) == 1


def test_each_route_gets_one_message_that_says_that_it_is_a_test() -> None:
    with Deployment() as deployed:
        deployed.ready().run("preflight")
        posted, mails = deployed.discord.taken, deployed.cloud.sent_mail()

        assert [body["embeds"][0]["title"] for body in posted] == ["Test message: preflight"]
        assert ["This is a test" in mail.body for mail in mails] == [True]


def test_quietly_nothing_is_sent_and_the_webhook_is_only_looked_at() -> None:
    with Deployment() as deployed:
        done = deployed.ready().run("preflight", "--quiet")

        assert results(done)["webhook"] == "ok"
        assert (deployed.discord.count("POST"), deployed.discord.count("GET")) == (0, 1)
        assert not deployed.cloud.sent_mail()


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_a_webhook_that_is_gone_is_named(quiet: tuple[str, ...]) -> None:
    with Deployment(discord=DiscordDouble(GONE)) as deployed:
        done = deployed.ready().run("preflight", *quiet)

    assert wrong(done) == {"webhook" if quiet else "message to Discord": "failed"}
    assert "store a working webhook with `make secrets`" in done.out


@pytest.mark.parametrize(("off", "result"), [(40, "failed"), (-40, "failed"), (10, "warning"), (-10, "warning")])
def test_a_clock_that_is_off_is_named(off: int, result: str) -> None:
    with Deployment() as deployed:
        clock = SimulatedClock(deployed.ready().clock.now() + timedelta(seconds=off))
        done = deployed.run("preflight", "--quiet", clock=clock)

    found = results(done)
    assert (found["clock and AWS"], found["clock and Alpaca"]) == (result, result)


def test_aws_out_of_reach_is_named_by_the_check_that_asks() -> None:
    with Deployment() as deployed:
        elsewhere = deployed.cloud.owner.client("sts", endpoint_url="http://127.0.0.1:9", config=ONCE)
        deployed.ready().aws.__dict__["sts"] = elsewhere
        done = deployed.run("preflight", "--quiet")

    assert wrong(done) == {"credentials": "failed"}
    assert "no answer from AWS (EndpointConnectionError)" in done.out


def test_no_secret_is_printed_whatever_fails() -> None:
    with Deployment() as deployed:
        deployed.ready()
        deployed.store(alpaca_live_key_id="AKSIMULATOR", alpaca_live_secret="simulated-live")
        deployed.store(
            anthropic_api_key="claude-key-1", deepseek_api_key="deepseek-key-1", gemini_api_key="gemini-key-1"
        )
        deployed.environment["HEARTHWATCH_ANTHROPIC_URL"] = deployed.discord.address.rpartition("/")[0]
        done = deployed.run("preflight")
        secrets = deployed.stored()

    assert secrets.keys() == set(EVERY_SECRET)
    assert not [name for name, value in secrets.items() if value in done.out]


def test_prices_and_positions_are_read_and_nothing_is_stored() -> None:
    with Deployment(held={TSLA: "3"}) as deployed:
        done = deployed.ready().run("preflight", "--quiet")

        assert "TSLA 321.5; NVDA 187" in done.out
        assert "1 position, 0 live orders" in done.out
        assert [item["pk"]["S"] for item in deployed.items("BookTable")] == ["controls"]
        assert deployed.items("PricesTable") == deployed.items("JournalTable") == []


# fractions


def test_the_probe_asks_by_a_limit_and_a_stop_and_leaves_nothing_behind() -> None:
    with Deployment() as deployed:
        done = deployed.ready().run("preflight", "--quiet")
        orders = deployed.exchange.exchange.orders()
        probe = deployed.ports.probes.get()

        assert "market yes, limit yes, stop yes, found with TSLA" in done.out
        assert [order.order_type for order in orders] == [OrderType.LIMIT, OrderType.STOP]
        assert not [order for order in orders if order.is_live or order.filled_quantity]
        assert probe is not None
        assert (probe.market, probe.limit, probe.stop, probe.probed_at) == (True, True, True, NOON)


def test_the_probed_answer_shapes_entries() -> None:
    with Deployment() as deployed:
        assert deployed.ready().ports.use_cases.prepare_entry.fractional.limit is None
        deployed.run("preflight", "--quiet")
        assert deployed.ports.use_cases.prepare_entry.fractional.limit is True


def test_a_probe_that_cannot_be_read_counts_as_unknown() -> None:
    with Deployment() as deployed:
        deployed.ready().run("preflight", "--quiet")
        spoiled = {**next(i for i in deployed.items("BookTable") if i["sk"]["S"] == PROBE.sk), "body": {"S": "{}"}}
        deployed.cloud.client("dynamodb").put_item(TableName=deployed.cloud.physical("BookTable"), Item=spoiled)

        assert deployed.ports.use_cases.prepare_entry.fractional == FractionalSupport()


def test_a_probe_that_found_nothing_out_leaves_the_answer_before() -> None:
    with Deployment() as deployed:
        deployed.ready().run("preflight", "--quiet")
        deployed.exchange.exchange.restore(replace(deployed.exchange.exchange.state(), cash=Decimal(0)))
        deployed.clock.advance(timedelta(seconds=1))
        deployed.run("preflight", "--quiet")
        probe = deployed.ports.probes.get()

        assert probe is not None
        assert (probe.limit, probe.stop) == (True, True)
        assert probe.probed_at == NOON + timedelta(seconds=1)


def test_an_order_kind_that_takes_no_fractions_is_told() -> None:
    with Deployment(fractional=frozenset({OrderType.MARKET})) as deployed:
        done = deployed.ready().run("preflight", "--quiet")

        assert "market yes, limit no, stop no" in done.out
        assert deployed.ports.use_cases.prepare_entry.fractional.limit is False


def test_a_symbol_that_is_held_is_not_probed_with() -> None:
    with Deployment(held={TSLA: "3"}) as deployed:
        done = deployed.ready().run("preflight", "--quiet")

        assert "found with NVDA" in done.out
        assert {order.symbol for order in deployed.exchange.exchange.orders()} == {NVDA}


def test_nothing_is_probed_while_everything_is_held() -> None:
    with Deployment(held={TSLA: "3", NVDA: "1"}) as deployed:
        done = deployed.ready().run("preflight", "--quiet")

        assert wrong(done) == {"fractions": "warning"}
        assert deployed.exchange.count("POST") == 0


def test_nothing_is_probed_while_the_market_is_closed() -> None:
    with Deployment(now=EVENING) as deployed:
        done = deployed.ready().run("preflight", "--quiet")

        assert "not probed: market closed; nothing is known" in done.out
        assert deployed.exchange.count("POST") == 0


def test_an_earlier_answer_is_shown_while_the_market_is_closed() -> None:
    with Deployment() as deployed:
        deployed.ready().run("preflight", "--quiet")
        deployed.clock.set(EVENING)
        done = deployed.run("preflight", "--quiet")

        assert "not probed: market closed; on 2026-06-10 it was: market yes, limit yes, stop yes" in done.out


def test_a_probe_whose_answer_got_lost_is_found_and_canceled() -> None:
    with Deployment() as deployed:
        deployed.ready().exchange.misbehave(AtExchange.RESET_IN_BODY, method="POST", path="/v2/orders")
        done = deployed.run("preflight", "--quiet")

        assert "market yes, limit yes, stop yes" in done.out
        assert not [order for order in deployed.exchange.exchange.orders() if order.is_live]


def test_a_probe_that_cannot_be_canceled_is_named() -> None:
    with Deployment() as deployed:
        deployed.ready().exchange.misbehave(
            AtExchange.GATEWAY_TIMEOUT_BEFORE_ACCEPT, method="DELETE", path="/v2/orders", times=9
        )
        done = deployed.run("preflight", "--quiet")

        assert (done.code, wrong(done)) == (1, {"fractions": "failed"})
        assert "the probe preflight-limit-20260610T160300.000000 of 0.02 TSLA may still rest" in done.out
        assert "cancel it at Alpaca, on the paper account" in done.out
        assert deployed.ports.probes.get() is None


# models


OFFERED = {"data": [{"id": f"{HAIKU}-20261007"}, {"id": SONNET}, {"id": "something-else"}]}
EXPIRED = json.dumps([{"model": HAIKU, "since": "2026-01-01", "until": "2026-06-01", "input": "1", "output": "5"}])


def test_prices_limits_and_a_missing_key_are_told_and_opus_is_a_note() -> None:
    with Deployment(BudgetDay="4.50", BudgetMonth="90") as deployed:
        done = deployed.ready().run("preflight", "--quiet")

    assert [results(done)[name] for name in ("models", "model keys", "budget")] == ["ok", "ok", "ok"]
    assert f"{HAIKU}, {SONNET} priced today; not asked: {OPUS}: its price is not confirmed yet" in done.out
    assert "anthropic-api-key is not stored, so anthropic is not asked" in done.out
    assert "today $0.00 of $4.50, this month $0.00 of $90.00" in done.out
    assert "not stored. Without it the rules decide alone." in done.out


def test_a_model_on_a_rung_without_a_price_is_named_and_stops_no_schedule() -> None:
    with Deployment(ModelPrices=EXPIRED) as deployed:
        done = deployed.ready().run("preflight", "--quiet")

    assert (done.code, wrong(done)) == (0, {"models": "warning"})
    assert f"{HAIKU}: its price expired on 2026-06-01" in done.out
    assert f"{SONNET}: its price begins on 2026-09-28" in done.out


def test_prices_that_cannot_be_read_are_named_by_row_and_field() -> None:
    with Deployment(ModelPrices='[{"model": "a", "since": "soon"}]') as deployed:
        done = deployed.ready().run("preflight", "--quiet")

    assert (done.code, wrong(done)) == (1, {"settings": "failed", "models": "failed", "budget": "failed"})
    assert "HEARTHWATCH_MODEL_PRICES is not usable: model prices: row 1: input" in done.out


@pytest.mark.parametrize(
    ("step", "result", "said"),
    [
        (reply(200, OFFERED), "ok", "anthropic takes the key and offers 3 models"),
        (reply(200, {"data": [{"id": SONNET}]}), "warning", f"anthropic does not offer {HAIKU}"),
        (reply(401, {}), "warning", "Claude does not take this key"),
    ],
)
def test_a_stored_key_is_tried_and_nothing_is_asked(step: Step, result: str, said: str) -> None:
    with Deployment() as deployed, ScriptedServer(step) as server:
        deployed.ready().store(anthropic_api_key="claude-key-1", gemini_api_key="gemini-key-1")
        deployed.environment["HEARTHWATCH_ANTHROPIC_URL"] = server.url
        done = deployed.run("preflight", "--quiet")

    assert (done.code, results(done)["model keys"]) == (0, result)
    assert said in done.out
    assert [request.method for request in server.arrived] == ["GET"]


def test_a_day_that_was_closed_is_told_with_its_reason() -> None:
    with Deployment() as deployed:
        deployed.ready().ports.budgets.close_day(NOON.date(), "the provider's own limit is reached")
        done = deployed.run("preflight", "--quiet")

    assert results(done)["budget"] == "warning"
    assert "nothing more today: the provider's own limit is reached" in done.out
