"""A template of a few parts, and the cloud made of it: what the tests of single mechanisms run on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from local_stack.cloud.embedded import EmbeddedCloud
from local_stack.cloud.template import Template
from shared.adapters.memory.clock import SimulatedClock

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
TEXT = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  MailFrom: {Type: String, Default: watch@example.com}
Resources:
  BookTable:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}, {AttributeName: sk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}, {AttributeName: sk, KeyType: RANGE}]
      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}
  Shelf: {Type: AWS::S3::Bucket}
  DoorbellQueue:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 360
      RedrivePolicy: {deadLetterTargetArn: !GetAtt DoorbellDeadLetters.Arn, maxReceiveCount: 5}
  DoorbellDeadLetters: {Type: AWS::SQS::Queue}
  SlowQueue:
    Type: AWS::SQS::Queue
    Properties: {DelaySeconds: 60}
  FailedRuns: {Type: AWS::SQS::Queue}
  OldWays: {Type: AWS::SQS::Queue}
  Clerk:
    Type: AWS::Serverless::Function
    Properties:
      Handler: tests.local_stack.handlers.clerk
      Runtime: python3.13
      Timeout: 7
      MemorySize: 256
      DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt OldWays.Arn}
      Environment:
        Variables:
          HEARTHWATCH_BOOK_TABLE: !Ref BookTable
          HEARTHWATCH_DOORBELL_QUEUE_URL: !Ref DoorbellQueue
          HEARTHWATCH_MAIL_FROM: !Ref MailFrom
      Policies:
        - Statement:
            - {Effect: Allow, Action: [dynamodb:GetItem, dynamodb:PutItem], Resource: !GetAtt BookTable.Arn}
            - {Effect: Allow, Action: "sqs:Send*", Resource: [!GetAtt DoorbellQueue.Arn, !GetAtt SlowQueue.Arn]}
            - {Effect: Allow, Action: sqs:ChangeMessageVisibility, Resource: !GetAtt DoorbellQueue.Arn}
            - {Effect: Allow, Action: ["s3:GetObject", "s3:PutObject"], Resource: !Sub "${Shelf.Arn}/prices/*"}
            - Effect: Allow
              Action: ssm:GetParameters
              Resource: !Sub "arn:aws:ssm:${AWS::Region}:${AWS::AccountId}:parameter/hearthwatch/key"
            - Effect: Allow
              Action: [ses:SendEmail, ses:GetAccount]
              Resource: "*"
              Condition: {StringEquals: {ses:FromAddress: !Ref MailFrom}}
            - {Effect: Deny, Action: "s3:*", Resource: !Sub "${Shelf.Arn}/prices/sealed/*"}
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt FailedRuns.Arn}}
      Events:
        Minute:
          Type: ScheduleV2
          Properties:
            ScheduleExpression: rate(1 minute)
            Input: '{"version": 1, "scheduled_at": "<aws.scheduler.scheduled-time>"}'
        Rung:
          Type: SQS
          Properties: {Queue: !GetAtt DoorbellQueue.Arn, BatchSize: 3, FunctionResponseTypes: [ReportBatchItemFailures]}
        Slowly:
          Type: SQS
          Properties: {Queue: !GetAtt SlowQueue.Arn, BatchSize: 3}
  Porter:
    Type: AWS::Serverless::Function
    Properties:
      Handler: tests.local_stack.handlers.porter
      Runtime: python3.13
      Policies: []
"""


@contextmanager
def small_cloud() -> Iterator[EmbeddedCloud]:
    """Serve the small template on a simulated clock."""
    with EmbeddedCloud(Template.from_text(TEXT), SimulatedClock(START)) as cloud:
        yield cloud


def clock_of(cloud: EmbeddedCloud) -> SimulatedClock:
    """Give the clock that a test moves."""
    assert isinstance(cloud.clock, SimulatedClock)
    return cloud.clock
