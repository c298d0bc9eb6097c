"""The template's resources in one account and region: what each is called, and every value in plain text.

A resource without a name of its own is named after the stack and its logical id, without the random letters that
CloudFormation adds, so that two runs name the same things. Queues have their address on this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from local_stack.cloud.intrinsics import condition_holds, evaluate
from local_stack.cloud.template import NotPlayed, Template

_NAMES: Final = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::LayerVersion": "LayerName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SES::EmailIdentity": "EmailIdentity",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SSM::Parameter": "Name",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::Scheduler::ScheduleGroup": "Name",
}
"""The property in which a resource may carry its own name."""
_REFS: Final = {
    "AWS::IAM::ManagedPolicy": "arn:aws:iam::{account}:policy/{name}",
    "AWS::Lambda::LayerVersion": "arn:aws:lambda:{region}:{account}:layer:{name}:1",
    "AWS::SNS::Topic": "arn:aws:sns:{region}:{account}:{name}",
    "AWS::SQS::Queue": "{url}/{account}/{name}",
}
"""What Ref gives where it is not the name."""
_ATTRIBUTES: Final = {
    "AWS::DynamoDB::Table": {"Arn": "arn:aws:dynamodb:{region}:{account}:table/{name}"},
    "AWS::IAM::ManagedPolicy": {"PolicyArn": _REFS["AWS::IAM::ManagedPolicy"]},
    "AWS::IAM::Role": {"Arn": "arn:aws:iam::{account}:role/{name}"},
    "AWS::Lambda::Function": {"Arn": "arn:aws:lambda:{region}:{account}:function:{name}"},
    "AWS::Lambda::LayerVersion": {"LayerVersionArn": _REFS["AWS::Lambda::LayerVersion"]},
    "AWS::Logs::LogGroup": {"Arn": "arn:aws:logs:{region}:{account}:log-group:{name}:*"},
    "AWS::S3::Bucket": {"Arn": "arn:aws:s3:::{name}"},
    "AWS::SNS::Topic": {"TopicArn": _REFS["AWS::SNS::Topic"], "TopicName": "{name}"},
    "AWS::SQS::Queue": {
        "Arn": "arn:aws:sqs:{region}:{account}:{name}",
        "QueueName": "{name}",
        "QueueUrl": _REFS["AWS::SQS::Queue"],
    },
    "AWS::Scheduler::Schedule": {"Arn": "arn:aws:scheduler:{region}:{account}:schedule/default/{name}"},
    "AWS::Scheduler::ScheduleGroup": {"Arn": "arn:aws:scheduler:{region}:{account}:schedule-group/{name}"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a stack stands; `url` is the address at which its services answer."""

    stack: str
    account: str
    region: str
    url: str


class Stack:
    """The template evaluated in one place."""

    def __init__(self, template: Template, place: Place) -> None:
        self.template = template
        self.place = place
        self._pseudo = {
            "AWS::AccountId": place.account,
            "AWS::Partition": "aws",
            "AWS::Region": place.region,
            "AWS::StackName": place.stack,
            "AWS::StackId": f"arn:aws:cloudformation:{place.region}:{place.account}:stack/{place.stack}/local",
            "AWS::URLSuffix": "amazonaws.com",
        }
        self.name = cache(self._name)

    def of_type(self, kind: str) -> tuple[str, ...]:
        """Name the resources of a type that exist, in the template's order."""
        return tuple(name for name in self.template.of_type(kind) if self.exists(name))

    def exists(self, logical_id: str) -> bool:
        """Say whether a resource is there under the given parameters."""
        resource = self.template.resources.get(logical_id)
        return resource is not None and ("Condition" not in resource or self.holds(resource["Condition"]))

    def properties(self, logical_id: str) -> dict[str, Any]:
        """Give a resource's properties in plain values."""
        properties: dict[str, Any] = self.value(self._resource(logical_id).get("Properties", {}))
        return properties

    def named_properties(self, logical_id: str) -> dict[str, Any]:
        """Give a resource's properties with its name among them."""
        return {**self.properties(logical_id), _NAMES[self.type_of(logical_id)]: self.name(logical_id)}

    def type_of(self, logical_id: str) -> str:
        """Give a resource's type."""
        return str(self._resource(logical_id)["Type"])

    def value(self, expression: Any) -> Any:
        """Evaluate an expression of the template."""
        return evaluate(expression, self)

    def ref(self, name: str) -> object:
        """Give what Ref gives."""
        known: Mapping[str, object] = {**self._pseudo, **self.template.parameters}
        if name in known:
            return known[name]
        form = _REFS.get(self.type_of(name), "{name}")
        return self._formed(form, name)

    def attribute(self, name: str, attribute: str) -> str:
        """Give what Fn::GetAtt gives."""
        kind = self.type_of(name)
        form = _ATTRIBUTES.get(kind, {}).get(attribute)
        if form is None:
            raise NotPlayed(f"Fn::GetAtt {name}.{attribute} of {kind}")
        return self._formed(form, name)

    def arn(self, logical_id: str) -> str:
        """Give a resource's ARN."""
        return self.attribute(logical_id, "TopicArn" if self.type_of(logical_id) == "AWS::SNS::Topic" else "Arn")

    def holds(self, condition: str) -> bool:
        """Say whether a condition is true."""
        if condition not in self.template.conditions:
            raise NotPlayed(f"the condition {condition}, which the template does not declare")
        return condition_holds(self.template.conditions[condition], self)

    def _resource(self, name: str) -> Mapping[str, Any]:
        if not self.exists(name):
            raise NotPlayed(f"{name}, which is neither a parameter nor a resource of the stack")
        return self.template.resources[name]

    def _name(self, name: str) -> str:
        resource = self._resource(name)
        given = resource.get("Properties", {}).get(_NAMES.get(resource["Type"], ""))
        if given is not None:
            return str(self.value(given))
        if resource["Type"] == "AWS::S3::Bucket":
            return f"{self.place.stack}-{name}-{self.place.account}".lower()  # bucket names are everybody's
        return f"{self.place.stack}-{name}"

    def _formed(self, form: str, name: str) -> str:
        place = self.place
        return form.format(name=self.name(name), account=place.account, region=place.region, url=place.url)
