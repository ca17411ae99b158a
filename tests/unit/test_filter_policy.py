"""Filter policies: what each operator takes, and what is said of a message that is not taken."""

import json
from typing import Any

import pytest

from viewer.aws.filter_policy import (
    Budget,
    MessageFields,
    PolicyError,
    Scope,
    TooMuch,
    explain,
    first_failure,
    parse_policy,
)

RUGBY_OR_TENNIS = {"interests": [{"anything-but": ["rugby", "tennis"]}]}


class Open:
    """Shows everything."""

    def hides(self, scope: Scope, path: str) -> bool:  # noqa: ARG002
        return False

    def text(self, scope: Scope, path: str, text: str) -> str:  # noqa: ARG002
        return text


def reason(
    policy: Any,
    attributes: dict[str, tuple[str, str]] | None = None,
    *,
    body: Any = "",
    scope: Scope = "MessageAttributes",
) -> str | None:
    """Return why this policy does not take this message, None if it does."""
    text = body if isinstance(body, str) else json.dumps(body)
    failure = first_failure(
        parse_policy(json.dumps(policy), scope), MessageFields(text, attributes or {}), Budget()
    )
    return explain(failure, Open()) if failure else None


def of_attribute(condition: Any, kind: str, value: str) -> str | None:
    return reason({"a": [condition]}, {"a": (kind, value)})


def of_body(condition: Any, value: Any) -> str | None:
    return reason({"a": [condition]}, body={"a": value}, scope="MessageBody")


# Of an attribute and of a body alike: condition, values that it takes, values that it does not take.
TEXTS: list[tuple[Any, list[str], list[str]]] = [
    ("rugby", ["rugby"], ["Rugby", "rugb", "rugby ", "5"]),
    ({"prefix": "bas"}, ["bas", "baseball"], ["Baseball", "ba", "rugby"]),
    ({"suffix": "ball"}, ["ball", "baseball"], ["balls", "all", "rugby"]),
    ({"equals-ignore-case": "tennis"}, ["tennis", "TENNIS", "teNnis"], ["tennis ", "tenni"]),
    ({"wildcard": "*ball"}, ["ball", "baseball"], ["balls", "all"]),
    ({"wildcard": "a*b*c"}, ["abc", "a-b-b-c", "abcbc"], ["ab", "acb", "xabc", "ac"]),
    ({"wildcard": "aa*aa"}, ["aaaa", "aa-aa"], ["aaa"]),
    ({"wildcard": r"a\*b"}, ["a*b"], ["a-b", r"a\*b"]),
    ({"wildcard": "plain"}, ["plain"], ["plainer"]),
    ({"cidr": "10.0.0.0/24"}, ["10.0.0.0", "10.0.0.255"], ["10.0.1.0", "10.0.0", "::1", "x"]),
    ({"cidr": "2001:db8::/32"}, ["2001:db8::1"], ["2001:db9::1", "10.0.0.1"]),
    ({"cidr": "10.0.0.7"}, ["10.0.0.7"], ["10.0.0.8"]),
    ({"anything-but": "rugby"}, ["tennis", "5"], ["rugby"]),
    ({"anything-but": ["rugby", "tennis"]}, ["baseball"], ["rugby", "tennis"]),
    ({"anything-but": {"prefix": "order-"}}, ["order_number", "data"], ["order-", "order-cancelled"]),
    ({"anything-but": {"suffix": "ball"}}, ["hockey"], ["baseball"]),
    ({"anything-but": {"wildcard": "*ball"}}, ["hockey"], ["ball", "baseball"]),
    ({"anything-but": {"equals-ignore-case": ["a", "b"]}}, ["c"], ["A", "b"]),
    ({"exists": True}, ["x"], []),
    ({"exists": False}, [], ["x"]),
]
NUMBERS: list[tuple[Any, list[str], list[str]]] = [
    ({"numeric": ["=", 301.5]}, ["301.5", "3.015e2", "301.500001"], ["301.51", "-301.5"]),
    ({"numeric": ["<", 0]}, ["-1", "-0.001"], ["0", "1"]),
    ({"numeric": ["<=", 0]}, ["0", "-1"], ["0.1"]),
    ({"numeric": [">=", 5]}, ["5", "1e9", "12345678901"], ["4.9"]),
    ({"numeric": [">", 0, "<=", 150]}, ["0.1", "150"], ["0", "150.1"]),
    (100, ["100", "100.0", "1e2"], ["101"]),
    ({"anything-but": [100, 500]}, ["101", "100.1"], ["100", "5e2"]),
    ({"anything-but": 100}, ["0"], ["100"]),
    ({"anything-but": "100"}, ["100"], []),  # the text is none of the numbers
    ({"anything-but": {"prefix": "1"}}, ["100"], []),
    ("100", [], ["100"]),
    ({"prefix": "1"}, [], ["100"]),
    ({"suffix": "0"}, [], ["100"]),
    ({"wildcard": "*"}, [], ["100"]),
    ({"equals-ignore-case": "100"}, [], ["100"]),
    ({"cidr": "0.0.0.0/0"}, [], ["100"]),
    ({"exists": True}, ["0"], []),
]


@pytest.mark.parametrize(("condition", "taken", "refused"), TEXTS, ids=lambda one: json.dumps(one)[:40])
def test_texts_are_matched_in_attributes_and_in_the_body(
    condition: Any, taken: list[str], refused: list[str]
) -> None:
    for value in taken:
        assert of_attribute(condition, "String", value) is None
        assert of_attribute(condition, "String.Array", json.dumps([value])) is None
        assert of_body(condition, value) is None
        assert of_body(condition, [[value]]) is None
    for value in refused:
        assert of_attribute(condition, "String", value)
        assert of_attribute(condition, "String.Array", json.dumps([value]))
        assert of_body(condition, value)


@pytest.mark.parametrize(("condition", "taken", "refused"), NUMBERS, ids=lambda one: json.dumps(one)[:40])
def test_numbers_are_matched_in_attributes_and_in_the_body(
    condition: Any, taken: list[str], refused: list[str]
) -> None:
    for value in taken:
        assert of_attribute(condition, "Number", value) is None
        assert of_attribute(condition, "Number.Array", f"[{value}]") is None
        assert of_attribute(condition, "String.Array", f'["zzz", {value}]') is None
        assert of_body(condition, json.loads(value)) is None
    for value in refused:
        assert of_attribute(condition, "Number", value)
        assert of_attribute(condition, "String.Array", f"[{value}]")
        assert of_body(condition, json.loads(value))


def test_a_number_in_quotation_marks_is_a_text() -> None:
    for condition in (5, {"numeric": ["=", 5]}):
        assert of_attribute(condition, "String", "5") == f'a is "5", the policy wants {wants(condition)}'
        assert of_attribute(condition, "String.Array", '["5"]')
        assert of_body(condition, "5")


def wants(condition: Any) -> str:
    return "5" if condition == 5 else "a number = 5"


def test_keywords_are_no_texts_and_no_numbers() -> None:
    for keyword in ("true", "false", "null"):
        value = json.loads(keyword)
        assert of_attribute(value, "String.Array", f"[{keyword}]") is None
        assert of_body(value, value) is None
        assert of_attribute(value, "String", keyword)
        assert of_attribute(keyword, "String.Array", f"[{keyword}]")
    assert of_body(1, True)
    assert of_body(True, 1)
    assert of_body({"numeric": ["=", 1]}, True)
    assert of_body({"anything-but": 1}, True) is None
    assert of_body({"anything-but": "x"}, None)


def test_an_array_is_taken_if_any_of_its_values_is() -> None:
    assert reason(RUGBY_OR_TENNIS, {"interests": ("String.Array", '["rugby", "baseball"]')}) is None
    assert (
        reason(RUGBY_OR_TENNIS, {"interests": ("String.Array", '["tennis", "rugby"]')})
        == 'interests is "tennis" and "rugby", the policy wants anything but "rugby" or "tennis"'
    )
    assert of_body({"prefix": "b"}, ["a", 5, None, "b"]) is None


def test_a_field_exists_if_it_has_a_value() -> None:
    assert of_body({"exists": True}, None) == "a is null, the policy wants any value"
    assert of_body({"exists": True}, "")
    assert of_body({"exists": True}, [])
    assert of_body({"exists": True}, {"inner": 1}) == "a is missing, the policy wants any value"
    assert of_body({"exists": False}, {"inner": 1}) is None
    assert of_body({"exists": False}, None) == "a is null, the policy wants none"
    assert reason({"b": [{"exists": False}]}, body={}, scope="MessageBody") is None


def test_an_attribute_is_missing_only_from_a_message_that_has_attributes() -> None:
    policy = {"a": [{"exists": False}]}
    refusal = 'a is missing, but "exists": false needs a message with at least one attribute'

    assert reason(policy, {"b": ("String", "x")}) is None
    assert reason(policy, {}) == refusal
    assert reason(policy, {"b": ("Binary", "eA==")}) == refusal
    assert reason({"a": ["x", {"exists": False}]}, {"b": ("Number", "1")}) is None


def test_binary_attributes_are_ignored() -> None:
    message = {"a": ("Binary", "eA=="), "b": ("String", "x")}

    assert reason({"a": [{"exists": False}]}, message) is None
    assert reason({"a": ["eA=="]}, message) == (
        'a is Binary, which filter policies ignore, the policy wants "eA=="'
    )


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("String.Array", "[", "a String.Array that is no JSON array"),
        ("String.Array", "{}", "a String.Array that is no JSON array"),
        ("String.Array", "[]", "an empty array"),
        ("Number", "five", "a Number that is none"),
        ("Number", "٣", "a Number that is none"),
        ("Number", "1" * 5000, "a Number that is none"),
    ],
)
def test_an_attribute_that_is_not_what_its_type_says_has_no_value(kind: str, value: str, said: str) -> None:
    assert of_attribute({"exists": True}, kind, value) == f"a is {said}, the policy wants any value"
    assert of_attribute({"exists": False}, kind, value)


def test_all_fields_must_match_and_the_first_that_does_not_is_named() -> None:
    policy = {"region": ["eu", "ap"], "price": [{"numeric": [">", 100]}]}

    assert reason(policy, {"region": ("String", "eu"), "price": ("Number", "101")}) is None
    assert reason(policy, {"region": ("String", "us")}) == 'region is "us", the policy wants "eu" or "ap"'
    assert reason(policy, {"region": ("String", "eu"), "price": ("Number", "7")}) == (
        "price is 7, the policy wants a number > 100"
    )
    assert reason(policy, {"price": ("Number", "101")}) == 'region is missing, the policy wants "eu" or "ap"'


def test_long_lists_and_values_are_cut() -> None:
    said = reason({"a": ["x" * 200, "b", "c", "d", "e"]}, {"a": ("String", "y\n" * 200)})

    assert said is not None
    assert said.endswith('"b", "c" or 2 more')
    assert len(said) < 250
    assert "\n" not in said


def test_an_alternative_must_be_met() -> None:
    policy = {
        "source": ["aws.cloudwatch"],
        "$or": [
            {"metric": ["CPU"]},
            {"kind": ["Metric"], "$or": [{"id": [1234]}, {"space": [{"prefix": "s"}]}]},
        ],
    }
    source = ("String", "aws.cloudwatch")

    assert reason(policy, {"source": source, "metric": ("String", "CPU")}) is None
    assert reason(policy, {"source": source, "kind": ("String", "Metric"), "id": ("Number", "1234")}) is None
    assert reason(policy, {"metric": ("String", "CPU")}) == (
        'source is missing, the policy wants "aws.cloudwatch"'
    )
    assert reason(policy, {"source": source, "kind": ("String", "Metric"), "space": ("String", "t")}) == (
        'no alternative is met: metric is missing, the policy wants "CPU" and no alternative is met: '
        'id is missing, the policy wants 1234 and space is "t", the policy wants a text that begins with "s"'
    )


def test_alternatives_need_two_objects_without_names_of_operators() -> None:
    message = {"$or": ("String", "abc")}

    assert reason({"$or": [{"prefix": "abc"}, {"numeric": ["=", 1]}]}, message) is None
    assert reason({"$or": ["abc", "x"]}, message) is None
    with pytest.raises(PolicyError, match=r'\$or: "metric" is no operator'):
        parse_policy('{"$or": [{"metric": ["CPU"]}]}')


def test_nested_policies_are_asked_of_the_body() -> None:
    policy = {"order": {"lines": {"sku": ["A-1"]}, "$or": [{"paid": [True]}, {"total": [0]}]}}

    def ask(body: Any) -> str | None:
        return reason(policy, body=body, scope="MessageBody")

    assert ask({"order": {"lines": [{"sku": "B-2"}, {"sku": ["A-1"]}], "paid": True}}) is None
    assert ask({"order": {"lines": {"sku": "A-1"}, "total": 0.0}}) is None
    assert ask([{"order": 1}]) == "the body is not a JSON object"
    assert ask("no JSON") == "the body is not a JSON object"
    assert ask({"order": {"lines": [{"sku": "B-2"}], "paid": True}}) == (
        'order.lines.sku is "B-2", the policy wants "A-1"'
    )
    assert ask({"order": {"lines": {"sku": "A-1"}}}) == (
        "no alternative is met: order.paid is missing, the policy wants true and order.total is missing, "
        "the policy wants 0"
    )


def test_a_name_with_dots_counts_as_a_path() -> None:
    for policy in ({"a.b": ["x"]}, {"a": {"b": ["x"]}}):
        for body in ({"a.b": "x"}, {"a": {"b": "x"}}, {"a": [{"b": ["x"]}]}):
            assert reason(policy, body=body, scope="MessageBody") is None


def test_a_policy_without_conditions_takes_everything() -> None:
    assert reason({}) is None
    assert reason({}, body="no JSON", scope="MessageBody") is None


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("", "the policy is not JSON"),
        ("{", "the policy is not JSON"),
        ('{"a": [NaN]}', "the policy is not JSON"),
        ("[]", "the policy is not a JSON object"),
        ('"x"', "the policy is not a JSON object"),
        ('{"a": "x"}', "a: neither an array nor an object"),
        ('{"a": []}', "a: the array is empty"),
        ('{"a": {"b": ["x"]}}', "a: a policy on message attributes cannot be nested"),
        ('{"a": [["x"]]}', "a: a condition is a value, or an object with an operator"),
        ('{"a": [{}]}', "a: a condition has one operator"),
        ('{"a": [{"prefix": "x", "suffix": "y"}]}', "a: a condition has one operator"),
        ('{"a": [{"like": "x"}]}', 'a: "like" is no operator'),
        ('{"a": [{"prefix": 5}]}', "a: prefix needs a text"),
        ('{"a": [{"suffix": ["x"]}]}', "a: suffix needs a text"),
        ('{"a": [{"wildcard": null}]}', "a: wildcard needs a text"),
        ('{"a": [{"equals-ignore-case": 5}]}', "a: equals-ignore-case needs a text"),
        ('{"a": [{"exists": "yes"}]}', "a: exists needs true or false"),
        ('{"a": [{"cidr": 5}]}', "a: cidr needs a text"),
        ('{"a": [{"cidr": "10.0.0.0/40"}]}', "a: cidr needs a range of IP addresses, such as 10.0.0.0/24"),
        ('{"a": [{"anything-but": []}]}', "a: anything-but needs texts or numbers"),
        ('{"a": [{"anything-but": [null]}]}', "a: anything-but needs texts or numbers"),
        ('{"a": [{"anything-but": {"cidr": "10.0.0.0/8"}}]}', "a: anything-but: cidr is not possible in it"),
        ('{"a": [{"anything-but": {"prefix": 5}}]}', "a: prefix needs a text"),
        ('{"a": [{"anything-but": {"prefix": []}}]}', "a: anything-but: prefix needs a text"),
        (
            '{"a": [{"numeric": 5}]}',
            'a: numeric needs a sign and a number, or a range such as [">", 0, "<=", 150]',
        ),
        ('{"a": [{"numeric": ["!", 5]}]}', "a: numeric: the sign must be one of = < <= > >="),
        ('{"a": [{"numeric": [["="], 5]}]}', "a: numeric: the sign must be one of = < <= > >="),
        ('{"a": [{"numeric": ["=", "5"]}]}', "a: numeric: there is no number after ="),
        ('{"a": [{"numeric": ["=", true]}]}', "a: numeric: there is no number after ="),
        (
            '{"a": [{"numeric": [">", 5, "<", 5]}]}',
            "a: numeric: a range begins with > or >=, and ends with < or <= a greater number",
        ),
        (
            '{"a": [{"numeric": ["<", 1, ">", 5]}]}',
            "a: numeric: a range begins with > or >=, and ends with < or <= a greater number",
        ),
        (f'{{"a": [{"1," * 150}2]}}', "the policy has more than 150 conditions"),
        (f'{{"a": ["{"x" * 2**18}"]}}', "the policy is larger than 256 KB"),
    ],
)
def test_a_malformed_policy_is_refused_with_its_reason(policy: str, said: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse_policy(policy)
    assert str(raised.value) == said


@pytest.mark.parametrize("depth", [51, 201, 50_000])
def test_a_policy_that_is_nested_too_deep_is_refused(depth: int) -> None:
    nested = '{"a":' * depth + "[1]" + "}" * depth
    alternatives = '{"$or":[{},' * depth + "{}" + "]}" * depth

    for policy in (nested, alternatives):
        with pytest.raises(PolicyError):
            parse_policy(policy, "MessageBody")


def test_a_name_with_very_many_dots_is_refused() -> None:
    with pytest.raises(PolicyError, match="a path of more than 50 names"):
        parse_policy(json.dumps({"a." * 1_000: ["x"]}), "MessageBody")


# ---- bounds

MANY = json.dumps({"a": [{"wildcard": f"*{number}*x*"} for number in range(150)]})


@pytest.mark.parametrize(
    ("value", "budget"),
    [([f"{number}" for number in range(30_000)], Budget()), ([{"a": 1}] * 20_000, Budget(20_000))],
)
def test_a_slow_question_is_given_up(value: list[object], budget: Budget) -> None:
    policy, message = parse_policy(MANY, "MessageBody"), MessageFields(json.dumps({"a": value}), {})

    with pytest.raises(TooMuch):
        first_failure(policy, message, budget)


def test_one_budget_serves_all_policies_of_an_answer() -> None:
    policy, message = parse_policy('{"a": ["x"]}'), MessageFields("", {"a": ("String.Array", '["y", "z"]')})
    budget = Budget(steps=10)

    assert first_failure(policy, message, budget)
    assert first_failure(policy, message, budget)
    with pytest.raises(TooMuch):
        first_failure(policy, message, budget)


def test_a_body_of_any_depth_is_read() -> None:
    nested = '{"a":' * 5_000 + "1" + "}" * 5_000

    assert reason({"b": ["x"]}, body=nested, scope="MessageBody") == 'b is missing, the policy wants "x"'
