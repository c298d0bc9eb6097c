"""Which of the template's resources exist on this machine, and how they are made.

moto's CloudFormation makes them from the translated template, in plain values and under names known beforehand; it
silently skips what it does not know, so what it is not given is listed here, and a type on neither list is an error.
Time to live and point-in-time recovery, which it drops, are set afterwards.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from local_stack.cloud.intrinsics import references
from local_stack.cloud.stack import Stack
from local_stack.cloud.template import NotPlayed

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient

MADE: Final = frozenset(
    {
        "AWS::DynamoDB::Table",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::SSM::Parameter",
    }
)
PLAYED: Final = frozenset(
    {
        "AWS::IAM::ManagedPolicy",  # judged by the door, as every role is
        "AWS::IAM::Role",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Function",
        "AWS::SES::EmailIdentity",
        "AWS::Scheduler::Schedule",
        "AWS::Scheduler::ScheduleGroup",
    }
)
"""What runs here by our own hand."""
ABSENT: Final = frozenset(
    {
        "AWS::ApiGatewayV2::Api",  # nothing answers behind it yet
        "AWS::ApiGatewayV2::Stage",
        "AWS::CloudWatch::Alarm",  # moto's never evaluate
        "AWS::CloudWatch::Dashboard",
        "AWS::Lambda::LayerVersion",  # the checkout is the code
        "AWS::Lambda::Permission",
        "AWS::Logs::MetricFilter",
        "AWS::S3::BucketPolicy",  # they refuse what does not come over TLS
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    }
)
"""What has no part on this machine; tests look at it in the translated template."""
_LEFT_OFF: Final = {
    "AWS::DynamoDB::Table": ("PointInTimeRecoverySpecification", "TimeToLiveSpecification"),
    "AWS::SNS::Topic": ("Subscription",),  # no mail leaves this machine
    "AWS::SQS::Queue": ("DelaySeconds",),  # counted on the stack's clock instead
}


def plain_template(stack: Stack) -> dict[str, Any]:
    """Give what moto is to make: plain values, names known beforehand, in the order their references need."""
    kinds = {name: stack.type_of(name) for name in stack.template.resources if stack.exists(name)}
    if unknown := sorted(set(kinds.values()) - MADE - PLAYED - ABSENT):
        raise NotPlayed(f"resources of the types {', '.join(unknown)}")
    made = [name for name, kind in kinds.items() if kind in MADE]
    return {
        "Parameters": {name: _parameter(value) for name, value in stack.template.parameters.items()},
        "Resources": {name: _plain(stack, name, kinds[name], made) for name in made},
        "Outputs": {name: {"Value": stack.value(slot["Value"])} for name, slot in stack.template.outputs.items()},
    }


def make_resources(stack: Stack, cloudformation: CloudFormationClient, dynamodb: DynamoDBClient) -> None:
    """Create the stack's resources, and check that each is there under its name."""
    template = plain_template(stack)
    cloudformation.create_stack(StackName=stack.place.stack, TemplateBody=json.dumps(template))
    found = cloudformation.describe_stack_resources(StackName=stack.place.stack)["StackResources"]
    made = {part["LogicalResourceId"]: part.get("PhysicalResourceId", "") for part in found}
    for name in template["Resources"]:
        if not made.get(name, "").endswith(stack.name(name)):
            raise NotPlayed(f"{name}, which moto did not make under the name {stack.name(name)}")
    for name in stack.of_type("AWS::DynamoDB::Table"):
        _complete_table(stack, name, dynamodb)


def time_to_live_of(stack: Stack, table: str) -> str | None:
    """Name the attribute that says when an item of a table is over."""
    specification = stack.properties(table).get("TimeToLiveSpecification", {})
    return str(specification["AttributeName"]) if specification.get("Enabled") else None


def _parameter(value: str | list[str]) -> dict[str, str]:
    return {"Type": "String", "Default": value if isinstance(value, str) else ",".join(value)}


def _plain(stack: Stack, name: str, kind: str, made: list[str]) -> dict[str, Any]:
    properties = stack.named_properties(name)
    for dropped in _LEFT_OFF.get(kind, ()):
        properties.pop(dropped, None)
    needs = references(stack.template.resources[name].get("Properties", {})) & set(made)
    kept = {"DeletionPolicy": policy} if (policy := stack.template.resources[name].get("DeletionPolicy")) else {}
    return {"Type": kind, "Properties": properties, "DependsOn": sorted(needs), **kept}


def _complete_table(stack: Stack, name: str, dynamodb: DynamoDBClient) -> None:
    table = stack.name(name)
    if (attribute := time_to_live_of(stack, name)) is not None:
        dynamodb.update_time_to_live(
            TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute}
        )
    recovery = stack.properties(name).get("PointInTimeRecoverySpecification")
    if recovery is not None:
        dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)
