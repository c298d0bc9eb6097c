"""Every rule of the template notices what it is there for: one thing is made wrong at a time, and its rule says so."""

from __future__ import annotations

import re

import pytest

from tests.architecture.deployment import TEXT, deployed
from tests.architecture.template_rules import RULES

STRAY_KEY = "  StrayKey:\n    Type: AWS::KMS::Key\n    Properties: {KeyPolicy: {}}\n"
STRAY_ROLE = (
    "  StrayRole:\n    Type: AWS::IAM::Role\n    Properties:\n"
    "      AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {AWS: '*'}, Action: sts:AssumeRole}]}\n"
    "      ManagedPolicyArns: [!Ref TlsOnly]\n"
)
PER_SYMBOL = "[{Name: service, Value: hearthwatch}, {Name: symbol, Value: TSLA}]"
ONE_MORE_ALARM = (
    "  Alarm{0}:\n    Type: AWS::CloudWatch::Alarm\n"
    "    Properties: {{Namespace: AWS/Lambda, MetricName: Errors, AlarmActions: [!Ref OperatorTopic]}}\n"
)

# rule, the resource it happens to, what the template says there, what it would say
WRONG = [
    ("tables_are_safe", "BookTable", "      SSESpecification: {SSEEnabled: true}\n", ""),
    ("tables_are_safe", "PricesTable", "PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false"),
    ("tables_are_safe", "JournalTable", "      DeletionProtectionEnabled: true\n", ""),
    ("tables_are_safe", "PricesTable", "      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}\n", ""),
    ("tables_are_safe", "BookTable", "AttributeName: expires", "AttributeName: expiry"),
    ("tables_are_safe", "BookTable", "PAY_PER_REQUEST", "PROVISIONED"),
    ("tables_are_safe", "JournalTable", "    DeletionPolicy: Retain\n", ""),
    (
        "tables_are_safe",
        "JournalTable",
        "      DeletionProtectionEnabled: true\n",
        "      DeletionProtectionEnabled: true\n"
        "      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}\n",
    ),
    ("only_the_book_has_an_index", "BookTable", "IndexName: watched", "IndexName: unsettled"),
    ("the_archive_is_safe", "ArchiveBucket", "SSEAlgorithm: AES256", "SSEAlgorithm: none"),
    ("the_archive_is_safe", "ArchiveBucket", "RestrictPublicBuckets: true", "RestrictPublicBuckets: false"),
    ("the_archive_is_safe", "ArchiveBucket", "Status: Enabled}", "Status: Suspended}"),
    ("the_archive_is_safe", "ArchiveBucket", "TransitionInDays: 365", "TransitionInDays: 3650"),
    ("the_archive_is_safe", "ArchiveBucket", "    UpdateReplacePolicy: Retain\n", ""),
    ("plain_http_is_refused", "ArchiveBucketPolicy", 'aws:SecureTransport: "false"', 'aws:SecureTransport: "true"'),
    ("plain_http_is_refused", "ArchiveBucketPolicy", 's3:TlsVersion: "1.2"', 's3:TlsVersion: "1.0"'),
    ("plain_http_is_refused", "AlertsQueuePolicy", "Queues: [!Ref AlertsQueue]", "Queues: [!Ref CyclesQueue]"),
    ("plain_http_is_refused", "FailedRunsPolicy", "Effect: Deny", "Effect: Allow"),
    ("plain_http_is_refused", "OperatorTopicPolicy", 'Principal: "*"', "Principal: {AWS: nobody}"),
    ("roles_refuse_plain_http", "TlsOnly", 'Action: "*"', "Action: s3:*"),
    ("roles_refuse_plain_http", "PlaceOrdersRole", "      ManagedPolicyArns: [!Ref TlsOnly]\n", ""),
    ("access_is_as_listed", "PollPricesRole", "!GetAtt JournalTable.Arn", "!GetAtt ArchiveBucket.Arn"),
    ("access_is_as_listed", "PollPricesRole", "alpaca-paper-secret", "alpaca-live-secret"),
    ("access_is_as_listed", "CheckRiskRole", "dynamodb:PutItem, dynamodb:Query]", "dynamodb:PutItem, dynamodb:Scan]"),
    ("access_is_as_listed", "ArchivePricesRole", "s3:PutObject]", "s3:PutObject, s3:DeleteObject]"),
    ("access_is_as_listed", "ArchivePricesRole", "/prices/*", "/*"),
    ("access_is_as_listed", "ReconcileOrdersRole", "!GetAtt JournalTable.Arn", "!GetAtt BookTable.Arn"),
    ("access_is_as_listed", "RouteAlertsRole", "discord-webhook-url", "*"),
    (
        "access_is_as_listed",
        "RouteAlertsRole",
        "                Condition: {StringEquals: {ses:FromAddress: !Ref MailFrom}}\n",
        "",
    ),
    ("access_is_as_listed", "SchedulerRole", "                  - !GetAtt CheckRisk.Arn\n", ""),
    ("access_is_as_listed", "SchedulerRole", "!GetAtt FailedRuns.Arn", "!GetAtt DoorbellQueue.Arn"),
    ("statements_are_narrow", "RouteAlertsRole", "dynamodb:Query]", '"dynamodb:*"]'),
    ("statements_are_narrow", "CheckRiskRole", "Resource: !GetAtt BookTable.Arn", 'Resource: "*"'),
    ("statements_are_narrow", "CheckRiskRole", "Resource: !GetAtt BookTable.Arn", 'Resource: "arn:aws:dynamodb:*:*:*"'),
    ("statements_are_narrow", "CheckRiskRole", "Resource: !GetAtt BookTable.Arn", 'Resource: "arn:aws:s3:::*"'),
    ("statements_are_narrow", "CheckRiskRole", "Resource: !GetAtt BookTable.Arn", "NotResource: !GetAtt BookTable.Arn"),
    (
        "statements_are_narrow",
        "CheckRiskRole",
        "[!Ref TlsOnly]",
        '[!Ref TlsOnly, "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]',
    ),
    ("each_function_has_a_role_of_its_own", "CheckRisk", "!GetAtt CheckRiskRole.Arn", "!GetAtt PollPricesRole.Arn"),
    ("each_function_has_a_role_of_its_own", "CheckRiskRole", "lambda.amazonaws.com", "ec2.amazonaws.com"),
    (
        "each_function_has_a_role_of_its_own",
        "SchedulerRole",
        "            Condition: {StringEquals: {aws:SourceAccount: !Ref AWS::AccountId}}\n",
        "",
    ),
    ("each_function_has_a_role_of_its_own", "TlsOnly", "  TlsOnly:\n", STRAY_ROLE + "  TlsOnly:\n"),
    ("queues_keep_what_fails", "CyclesDeadLetters", "      SqsManagedSseEnabled: true\n", ""),
    ("queues_keep_what_fails", "AlertsQueue", "maxReceiveCount: 5", "maxReceiveCount: 500"),
    ("queues_keep_what_fails", "AlertsQueue", "!GetAtt AlertsDeadLetters.Arn", "!GetAtt CyclesDeadLetters.Arn"),
    (
        "queues_keep_what_fails",
        "DoorbellQueue",
        "      RedrivePolicy:\n        deadLetterTargetArn: !GetAtt DoorbellDeadLetters.Arn\n"
        "        maxReceiveCount: 5\n",
        "",
    ),
    (
        "queues_keep_what_fails",
        "AlertsDeadLetters",
        "MessageRetentionPeriod: 1209600",
        "MessageRetentionPeriod: 345600",
    ),
    ("queues_feed_with_patience", "AlertsQueue", "VisibilityTimeout: 360", "VisibilityTimeout: 60"),
    ("queues_feed_with_patience", "RouteAlerts", "[ReportBatchItemFailures]", "[]"),
    ("queues_feed_with_patience", "PlaceOrders", "!GetAtt DoorbellQueue.Arn", "!GetAtt CyclesQueue.Arn"),
    ("schedules_are_exact", "PollPrices", 'Mode: "OFF"', "Mode: FLEXIBLE, MaximumWindowInMinutes: 5"),
    ("schedules_are_exact", "CheckRisk", "rate(1 minute)", "rate(5 minutes)"),
    (
        "schedules_are_exact",
        "PrepareSession",
        "            ScheduleExpressionTimezone: America/New_York\n",
        "",
    ),
    ("schedules_are_exact", "RouteAlerts", "            DeadLetterConfig: {Arn: !GetAtt FailedRuns.Arn}\n", ""),
    ("schedules_are_exact", "RouteAlerts", "MaximumRetryAttempts: 3", "MaximumRetryAttempts: 185"),
    ("schedules_are_exact", "CheckRisk", "<aws.scheduler.scheduled-time>", "<aws.scheduler.execution-id>"),
    ("schedules_are_exact", "CheckRisk", "!GetAtt SchedulerRole.Arn", "!GetAtt CheckRiskRole.Arn"),
    ("nothing_runs_before_it_is_enabled", "ArchivePrices", "State: !Ref Schedules", "State: ENABLED"),
    ("nothing_runs_before_it_is_enabled", "CheckRisk", "            State: !Ref Schedules\n", ""),
    (
        "failed_runs_are_kept",
        "Globals",
        "          Destination: !GetAtt FailedRuns.Arn",
        "          Destination: elsewhere",
    ),
    ("failed_runs_are_kept", "Globals", "MaximumRetryAttempts: 0", "MaximumRetryAttempts: 2"),
    ("functions_are_as_planned", "CheckRisk", "functions.check_risk.handler", "functions.poll_prices.handler"),
    ("functions_are_as_planned", "CheckRisk", "      Layers: [!Ref BrokerLayer]\n", ""),
    ("functions_are_as_planned", "RouteAlerts", "Timeout: 55", "Timeout: 900"),
    ("functions_are_as_planned", "Globals", "Runtime: !Ref Runtime", "Runtime: python3.9"),
    ("functions_are_as_planned", "Globals", "[!Ref Architecture]", "[x86_64]"),
    ("variables_are_those_of_the_settings", "Globals", "HEARTHWATCH_STAGE: !Ref Stage", "HEARTHWATCH_STAGE: full"),
    (
        "variables_are_those_of_the_settings",
        "Globals",
        "        LOG_LEVEL:",
        "        ALPACA_SECRET: abc\n        LOG_LEVEL:",
    ),
    (
        "variables_are_those_of_the_settings",
        "Globals",
        "HEARTHWATCH_DOORBELL_QUEUE_URL: !Ref DoorbellQueue",
        "HEARTHWATCH_DOORBELL_QUEUE_URL: !Ref CyclesQueue",
    ),
    ("logs_are_kept_for_thirty_days", "CheckRiskLogs", "      RetentionInDays: 30\n", ""),
    ("logs_are_kept_for_thirty_days", "CheckRisk", "LogGroup: !Ref CheckRiskLogs", "LogGroup: !Ref PollPricesLogs"),
    ("everything_that_stops_alarms", "FailedRunsAlarm", "Threshold: 0", "Threshold: 1000"),
    ("everything_that_stops_alarms", "AlertsDeadLettersAlarm", "AlertsDeadLetters.QueueName", "AlertsQueue.QueueName"),
    (
        "everything_that_stops_alarms",
        "CheckRiskMissing",
        "TreatMissingData: breaching",
        "TreatMissingData: notBreaching",
    ),
    ("everything_that_stops_alarms", "CheckRiskMissing", "!If [Ticking, true, false]", "!If [Ticking, false, true]"),
    ("everything_that_stops_alarms", "RouteAlertsErrors", "Value: !Ref RouteAlerts", "Value: !Ref PlaceOrders"),
    ("everything_that_stops_alarms", "CoverageNone", "EvaluationPeriods: 2", "EvaluationPeriods: 20"),
    ("everything_that_stops_alarms", "CoverageNone", "MetricName: coverage_none_pct", "MetricName: tick_lag"),
    ("alarms_reach_the_operator_for_nothing", "TickLag", "      AlarmActions: [!Ref OperatorTopic]\n", ""),
    ("alarms_reach_the_operator_for_nothing", "OperatorTopic", "Protocol: email", "Protocol: http"),
    (
        "alarms_reach_the_operator_for_nothing",
        "OperatorTopic",
        "      DisplayName: Hearthwatch\n",
        "      DisplayName: Hearthwatch\n      KmsMasterKeyId: alias/aws/sns\n",
    ),
    (
        "alarms_reach_the_operator_for_nothing",
        "TickLag",
        "  TickLag:\n",
        "".join(ONE_MORE_ALARM.format(number) for number in range(3)) + "  TickLag:\n",
    ),
    ("own_metrics_are_few", "TickLag", "[{Name: service, Value: hearthwatch}]", PER_SYMBOL),
    ("own_metrics_are_few", "TickLag", "MetricName: tick_lag", "MetricName: tick_lag_TSLA"),
    ("own_metrics_are_few", "TickLag", "Namespace: Hearthwatch", "Namespace: Elsewhere"),
    ("nothing_costs_by_the_hour", "TlsOnly", "  TlsOnly:\n", STRAY_KEY + "  TlsOnly:\n"),
    ("the_api_is_shut", "ControlApi", "DisableExecuteApiEndpoint: true", "DisableExecuteApiEndpoint: false"),
    ("the_api_is_shut", "ControlApiStage", "ThrottlingRateLimit: 5", "ThrottlingRateLimit: 10000"),
    ("the_api_is_shut", "ControlApiStage", "        DestinationArn: !GetAtt ControlApiLogs.Arn\n", ""),
]


def made_wrong(resource: str, right: str, wrong: str) -> str:
    """Change the first such words of a resource, or of a section of the template, and of no other."""
    indent = "" if resource == "Globals" else "  "
    start = TEXT.index(f"\n{indent}{resource}:\n")
    following = re.compile(rf"\n{indent}\w+:\n").search(TEXT, start + 1)
    at = TEXT.index(right, start, following.start() + 1 if following else len(TEXT))
    return TEXT[:at] + wrong + TEXT[at + len(right) :]


@pytest.mark.parametrize(("rule", "resource", "right", "wrong"), WRONG)
def test_what_is_made_wrong_is_noticed(rule: str, resource: str, right: str, wrong: str) -> None:
    assert list(RULES[rule](deployed(made_wrong(resource, right, wrong))))


def test_every_rule_was_seen_to_fail() -> None:
    assert {rule for rule, *_ in WRONG} == RULES.keys()
