"""The template's functions in values, by their documented meaning; what is not known is named."""

from __future__ import annotations

import pytest

from local_stack.cloud.intrinsics import NOTHING, condition_holds, evaluate, references
from local_stack.cloud.template import NotPlayed


class Names:
    """A queue, two parameters and two conditions."""

    def ref(self, name: str) -> object:
        return {"Queue": "http://queue", "Stage": "paper", "Days": ["mon", "tue"]}[name]

    def attribute(self, name: str, attribute: str) -> object:
        return f"{name}/{attribute}"

    def holds(self, condition: str) -> bool:
        return {"Live": False, "Paper": True}[condition]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("plain", "plain"),
        ({"Ref": "Queue"}, "http://queue"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "Queue/Arn"),
        ({"Fn::GetAtt": "Queue.Arn"}, "Queue/Arn"),
        ({"Fn::Sub": "a ${Stage} b ${Queue.Arn} ${!Literal}"}, "a paper b Queue/Arn ${Literal}"),
        ({"Fn::Sub": ["${Own}-${Stage}", {"Own": {"Ref": "Queue"}}]}, "http://queue-paper"),
        ({"Fn::Join": [",", ["x", {"Ref": "Stage"}, 3]]}, "x,paper,3"),
        ({"Fn::Join": ["-", {"Ref": "Days"}]}, "mon-tue"),
        ({"Fn::If": ["Live", "yes", "no"]}, "no"),
        ({"Fn::If": ["Paper", {"Ref": "Stage"}, {"Ref": "Unheard"}]}, "paper"),
        ({"Fn::Select": [1, {"Fn::Split": ["@", "a@b.c"]}]}, "b.c"),
        ({"Fn::Select": ["0", {"Ref": "Days"}]}, "mon"),
        ({"Keep": {"Ref": "Stage"}, "Drop": {"Ref": "AWS::NoValue"}}, {"Keep": "paper"}),
        ([1, {"Fn::If": ["Live", 2, {"Ref": "AWS::NoValue"}]}, 3], [1, 3]),
        (
            {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        ),
    ],
)
def test_an_expression_has_the_value_that_cloudformation_gives_it(expression: object, value: object) -> None:
    assert evaluate(expression, Names()) == value


def test_no_value_stands_for_nothing_at_all() -> None:
    assert evaluate({"Ref": "AWS::NoValue"}, Names()) is NOTHING


@pytest.mark.parametrize("name", ["Fn::ImportValue", "Fn::FindInMap", "Fn::Base64", "Fn::ToJsonString"])
def test_an_unknown_function_is_named(name: str) -> None:
    with pytest.raises(NotPlayed, match=name):
        evaluate({"deep": [{name: "x"}]}, Names())


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ({"Fn::Equals": [{"Ref": "Stage"}, "paper"]}, True),
        ({"Fn::Equals": [{"Ref": "Stage"}, "live"]}, False),
        ({"Condition": "Live"}, False),
        ({"Fn::Not": [{"Condition": "Live"}]}, True),
        ({"Fn::And": [{"Condition": "Live"}, {"Condition": "Paper"}]}, False),
        ({"Fn::Or": [{"Condition": "Live"}, {"Condition": "Paper"}]}, True),
    ],
)
def test_conditions_hold_as_written(expression: object, holds: bool) -> None:
    assert condition_holds(expression, Names()) is holds


@pytest.mark.parametrize("expression", [{"Fn::Contains": []}, "Live", {}])
def test_a_condition_that_is_not_understood_is_named(expression: object) -> None:
    with pytest.raises(NotPlayed, match="condition"):
        condition_holds(expression, Names())


def test_references_are_found_however_they_are_written() -> None:
    found = references(
        [
            {"Ref": "A"},
            {"x": {"Fn::GetAtt": ["B", "Arn"]}},
            {"Fn::Sub": "${C} ${D.Arn} ${!E}"},
            {"Fn::Sub": ["${Own} ${F}", {"Own": {"Ref": "G"}}]},
        ]
    )
    assert found == set("ABCDFG")
