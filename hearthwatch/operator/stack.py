"""A deployed stack as CloudFormation describes it: its parameters and outputs, under the names of the template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import ClientError

from hearthwatch.operator.aws import OperatorAws, OperatorError, asking
from shared.adapters.aws.errors import code_of
from shared.domain.stage import Stage

TABLES: Final = ("BookTable", "PricesTable", "JournalTable")
DEAD_LETTERS: Final = {
    "DoorbellQueue": "DoorbellDeadLetters",
    "CyclesQueue": "CyclesDeadLetters",
    "AlertsQueue": "AlertsDeadLetters",
}
FAILED_RUNS: Final = "FailedRuns"
SCHEDULES: Final = {
    "PrepareSessionBeforeTheOpen": "PrepareSession",
    "ReconcileOrdersEveryMinute": "ReconcileOrders",
    "PollPricesEveryMinute": "PollPrices",
    "CheckRiskEveryMinute": "CheckRisk",
    "PlaceOrdersEveryMinute": "PlaceOrders",
    "RouteAlertsEveryMinute": "RouteAlerts",
    "ArchivePricesHourly": "ArchivePrices",
    "AuditBudgetHourly": "AuditBudget",
}
"""The schedules and the functions they start."""
LOGS: Final = (*(f"{function}Logs" for function in SCHEDULES.values()), "ControlApiLogs")

COMPLETE: Final = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
)
HALF_DELETED: Final = "DELETE_FAILED"
_VARIABLES: Final = {
    "HEARTHWATCH_STAGE": "Stage",
    "HEARTHWATCH_LIVE_ACCOUNT": "LiveAccount",
    "HEARTHWATCH_BOOK_TABLE": "BookTable",
    "HEARTHWATCH_PRICES_TABLE": "PricesTable",
    "HEARTHWATCH_JOURNAL_TABLE": "JournalTable",
    "HEARTHWATCH_ARCHIVE_BUCKET": "ArchiveBucket",
    "HEARTHWATCH_DOORBELL_QUEUE_URL": "DoorbellQueue",
    "HEARTHWATCH_CYCLES_QUEUE_URL": "CyclesQueue",
    "HEARTHWATCH_ALERTS_QUEUE_URL": "AlertsQueue",
    "HEARTHWATCH_ALERTS_DEAD_LETTERS_URL": "AlertsDeadLetters",
    "HEARTHWATCH_PARAMETERS": "ParameterPrefix",
    "HEARTHWATCH_WATCHLIST": "Watchlist",
    "HEARTHWATCH_ASSET_CLASSES": "AssetClasses",
    "HEARTHWATCH_PRICE_FEED": "PriceFeed",
    "HEARTHWATCH_BROKER_STOPS": "BrokerStops",
    "HEARTHWATCH_CLOSE_ON_DATA_LOSS": "CloseOnDataLoss",
    "HEARTHWATCH_DATA_LOSS_AFTER": "DataLossAfter",
    "HEARTHWATCH_BUDGET_DAY": "BudgetDay",
    "HEARTHWATCH_BUDGET_MONTH": "BudgetMonth",
    "HEARTHWATCH_MODEL_PRICES": "ModelPrices",
    "HEARTHWATCH_MAIL_FROM": "MailFrom",
    "HEARTHWATCH_MAIL_TO": "MailTo",
}
"""What the template gives every function, each from a parameter or an output."""
TO_STOP: Final = frozenset(
    {
        "Stage",
        "LiveAccount",
        "ParameterPrefix",
        *TABLES,
        "DoorbellQueue",
        "CyclesQueue",
        "AlertsQueue",
        "AlertsDeadLetters",
        "Watchlist",
    }
)
"""What the kill switch needs of a stack, whatever version deployed it."""


class NoSuchStack(OperatorError):
    """Nothing of that name is deployed in this region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedStack:
    """A stack that is there; `physical` gives names, addresses and ARNs by logical id."""

    name: str
    id: str
    status: str
    region: str
    parameters: Mapping[str, str]
    physical: Mapping[str, str]

    @property
    def tables(self) -> dict[str, str]:
        """Give the tables' names by logical id."""
        return {name: self.physical[name] for name in TABLES}

    @property
    def bucket(self) -> str:
        """Name the archive."""
        return self.physical["ArchiveBucket"]

    @property
    def prefix(self) -> str:
        """Say where the secrets lie."""
        return self.parameters["ParameterPrefix"]

    @property
    def stage(self) -> Stage:
        """Give the configured stage, the first switch of live trading."""
        return Stage(self.parameters["Stage"])

    @property
    def ticks(self) -> bool:
        """Say whether the schedules were deployed enabled."""
        return self.parameters["Schedules"] == "ENABLED"

    @property
    def environment(self) -> dict[str, str]:
        """Give the settings that the template gives every function."""
        known = {**self.parameters, **self.physical}
        return {variable: known[name] for variable, name in _VARIABLES.items() if name in known}


def find_stack(
    aws: OperatorAws, name: str, *, half_deleted: bool = False, in_any_state: bool = False, of_any_version: bool = False
) -> DeployedStack:
    """Find a stack by name; raises OperatorError when it is not there, being changed, or not ours.

    `in_any_state` takes one that is being changed, or failed to change: its functions may run all the same.
    `of_any_version` takes one that an older version deployed, as long as it can be stopped.
    """
    with asking(f"stack {name}"):
        try:
            found = aws.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as problem:
            if code_of(problem) == "ValidationError":
                raise NoSuchStack(
                    f"no stack {name!r} in {aws.region}: deploy it with `make deploy`, "
                    "or name another with --stack and its region in AWS_DEFAULT_REGION"
                ) from problem
            raise
    status = found["StackStatus"]
    if not in_any_state:
        _require_usable(name, status, half_deleted=half_deleted)
    parameters = {each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", [])}
    physical = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    _require_ours(name, parameters, physical, to_stop=of_any_version)
    return DeployedStack(
        name=name,
        id=found["StackId"],
        status=status,
        region=aws.region,
        parameters=parameters,
        physical=physical,
    )


def _require_usable(name: str, status: str, *, half_deleted: bool) -> None:
    if status in COMPLETE or (half_deleted and status == HALF_DELETED):
        return
    if status.endswith("_IN_PROGRESS"):
        raise OperatorError(f"stack {name} is being changed ({status}): wait until that is done")
    raise OperatorError(
        f"stack {name} is not complete ({status}): see its events, and deploy again; "
        f"one that never came to be goes with `aws cloudformation delete-stack --stack-name {name}`"
    )


def _require_ours(name: str, parameters: Mapping[str, str], physical: Mapping[str, str], *, to_stop: bool) -> None:
    everything = {
        *_VARIABLES.values(),
        "Schedules",
        FAILED_RUNS,
        "OperatorTopic",
        *SCHEDULES,
        *SCHEDULES.values(),
        *LOGS,
    }
    missing = sorted((TO_STOP if to_stop else everything) - parameters.keys() - physical.keys())
    if missing:
        raise OperatorError(
            f"stack {name} does not name {', '.join(missing)}: it is another's, or from an older version; deploy again"
        )
