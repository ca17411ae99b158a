"""Random filter policies with messages, what LocalStack makes of them, and where it is known to differ.

Half of the policies have one condition, one operator after the other, and each has a message that it takes
and one that it does not. The others are made at random.
"""

import contextlib
import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from viewer.aws.filter_policy import (
    Budget,
    MessageFields,
    PolicyError,
    Scope,
    first_failure,
    parse_policy,
)

NAMES = ("a", "b", "region", "c.d")
TEXTS = (
    "eu",
    "us",
    "EU",
    "eu-west",
    "west",
    "5",
    "100",
    "true",
    "10.0.0.7",
    "10.1.0.7",
    "fe80::1",
    "a b",
    "é",
)
NUMBERS = (0, 1, -1, 5, 100, 120, 301.5, 3.015e2, -0.25, 1000000000, 167772167)
TOO_PRECISE = 301.500001
LIMITS = (0, 1, 5, -0.25, 100)
MAX_COMBINATIONS = 150
MESSAGES = 5  # with each policy; at most a batch
PATIENCE_SECONDS = 20

Policy = dict[str, Any]
Make = Callable[[Random], Any]


class Missing:
    """Stands for a field that a message does not have."""


MISSING: Final = Missing()


@dataclass(frozen=True)
class Sample:
    """A message: a text, and types and values of attributes by name."""

    body: str
    attributes: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Group:
    """A policy, and messages to ask it of; `operator` names the only one in it, if it has one condition."""

    policy: Policy
    scope: Scope
    samples: Sequence[Sample]
    operator: str | None = None


@dataclass(frozen=True)
class Pair:
    """A policy and one of its messages, with both answers: taken, refused, malformed or failed."""

    group: Group
    sample: Sample
    ours: str
    theirs: str


# ---- random policies and messages


def _range(random: Random) -> Any:
    low = random.choice(LIMITS)
    return {"numeric": [random.choice([">", ">="]), low, random.choice(["<", "<="]), low + 150]}


def _some(values: Sequence[Any]) -> Make:
    return lambda random: random.sample(values, random.randint(1, 3))


def _one(values: Sequence[Any]) -> Make:
    return lambda random: random.choice(values)


def _with(operator: str, operand: Make) -> Make:
    return lambda random: {operator: operand(random)}


def _excluding(operator: str, operand: Make) -> Make:
    return lambda random: {"anything-but": {operator: operand(random)}}


_PREFIXES, _SUFFIXES, _PATTERNS = ("eu", "10.", "t"), ("st", "7", "U"), ("*st", "e*", "1*.*7", "eu", "e*-*t")
_NETWORKS = ("10.0.0.0/24", "10.0.0.7/32", "fe80::/10", "0.0.0.0/0")

# Each operator, in every form that the documentation has.
OPERATORS: Final[dict[str, Make]] = {
    "a text": _one(TEXTS),
    "a number": _one(NUMBERS),
    "a keyword": _one((True, False, None)),
    "prefix": _with("prefix", _one(_PREFIXES)),
    "suffix": _with("suffix", _one(_SUFFIXES)),
    "equals-ignore-case": _with("equals-ignore-case", _one(("eU", "WEST", "é"))),
    "cidr": _with("cidr", _one(_NETWORKS)),
    "numeric": lambda random: {
        "numeric": [random.choice(["=", "<", "<=", ">", ">="]), random.choice(LIMITS)]
    },
    "numeric range": _range,
    "exists: true": lambda _: {"exists": True},
    "exists: false": lambda _: {"exists": False},
    "anything-but a text": _with("anything-but", _one(TEXTS)),
    "anything-but a number": _with("anything-but", _one(NUMBERS[1:])),
    "anything-but texts": _with("anything-but", _some(TEXTS)),
    "anything-but numbers": _with("anything-but", _some(NUMBERS)),
    "anything-but prefix": _excluding("prefix", _one(_PREFIXES)),
    "anything-but suffix": _excluding("suffix", _one(_SUFFIXES)),
    "anything-but wildcard": _excluding("wildcard", _one(_PATTERNS)),
    "anything-but equals-ignore-case": _excluding("equals-ignore-case", _one(("eU", "WEST"))),
    "wildcard": _with("wildcard", _one(_PATTERNS)),
}
UNKNOWN_TO_LOCALSTACK = (
    "wildcard",
    "anything-but suffix",
    "anything-but wildcard",
    "anything-but equals-ignore-case",
)
UNKNOWN_OPERATORS = "operators that LocalStack does not know"
# Nearly all of them are malformed.
RARE: Final[tuple[Any, ...]] = (
    {"anything-but": 0},
    {"prefix": 5},
    {"suffix": None},
    {"like": "x"},
    {"exists": "yes"},
    {"prefix": "a", "suffix": "b"},
    {"numeric": ["!", 5]},
    {"numeric": ["<", 5, ">", 1]},
    {"numeric": [">", 5, "<", 5]},
    {"numeric": [">"]},
    {"numeric": ["=", "5"]},
    {"cidr": "10.0.0.0/40"},
    {"cidr": 5},
    {"equals-ignore-case": ["a"]},
    {"anything-but": {"numeric": ["=", 5]}},
    [["a"]],
)


def random_groups(seed: int, pairs: int) -> list[Group]:
    """Return groups with so many pairs of a policy and a message, the same for the same seed."""
    random, groups = Random(seed), []
    operators = list(OPERATORS.items())
    for number in range(pairs // MESSAGES):
        scope: Scope = random.choice(("MessageAttributes", "MessageBody"))
        if number % 2 == 0:
            groups.append(_single(random, scope, *operators[number // 2 % len(operators)]))
        else:
            groups.append(_compound(random, scope))
    return groups


def _single(random: Random, scope: Scope, operator: str, make: Make) -> Group:
    """Return a policy of one condition, with a message that it takes and one that it does not, and others."""
    condition, name = make(random), random.choice(NAMES)
    policy = {name: [condition]}
    values = [*TEXTS, *NUMBERS, True, False, None]
    candidates = [*values, *([value] for value in values), MISSING] * 2  # some become another type
    random.shuffle(candidates)
    samples: dict[str, Sample] = {}
    for value in candidates:
        sample = _sample(random, scope, {name: value, "other": "x"})
        # Where LocalStack is known to differ, nothing could be learned.
        if not set(_known_differences(Group(policy, scope, [sample]), sample)) - {UNKNOWN_OPERATORS}:
            samples.setdefault(_ours(policy, scope, sample), sample)
    more = [_random_sample(random, scope, policy) for _ in range(MESSAGES - len(samples))]
    return Group(policy, scope, [*samples.values(), *more], operator)


def _compound(random: Random, scope: Scope) -> Group:
    policy = _policy(random, scope, list(NAMES), alternatives=2)
    while _combinations(policy) > MAX_COMBINATIONS:
        policy = _policy(random, scope, list(NAMES), alternatives=2)
    if random.random() < 0.1:
        policy[random.choice(NAMES)] = [random.choice(RARE)]
    return Group(policy, scope, [_random_sample(random, scope, policy) for _ in range(MESSAGES)])


def _random_sample(random: Random, scope: Scope, policy: Policy) -> Sample:
    """Return a message, rather one of which LocalStack is not known to make something else."""
    for _ in range(random.choice((1, 10, 10, 10))):
        sample = _sample(random, scope, _values(random, policy))
        if not _known_differences(Group(policy, scope, [sample]), sample):
            break
    return sample


def _combinations(policy: Policy, depth: int = 1) -> int:
    """Return the combinations of conditions, as "Filter policy constraints" of Amazon SNS counts them."""
    count = 1
    for name, value in policy.items():
        if name == "$or":
            count *= sum(_combinations(one, depth) for one in value)
        else:
            count *= _combinations(value, depth + 1) if isinstance(value, dict) else len(value) * depth
    return count


def _policy(random: Random, scope: Scope, names: list[str], *, alternatives: int) -> Policy:
    """Return a policy; `alternatives` is how deep they may nest."""
    policy: Policy = {}
    for name in random.sample(names, random.randint(1, min(2, len(names)))):
        known = [make for operator, make in OPERATORS.items() if operator not in UNKNOWN_TO_LOCALSTACK]
        conditions = [random.choice(known)(random) for _ in range(random.choice((1, 1, 2, 3)))]
        if scope == "MessageBody" and "." in name and random.random() < 0.5:
            outer, _, inner = name.partition(".")
            policy[outer] = {inner: conditions}
        else:
            policy[name] = conditions
    if alternatives and random.random() < 0.4:
        others = [name for name in names if name not in policy] if random.random() < 0.9 else names
        count = 1 if random.random() < 0.05 else random.choice((2, 2, 3))
        policy["$or"] = [
            _policy(random, scope, others or ["e"], alternatives=alternatives - 1) for _ in range(count)
        ]
        if random.random() < 0.05:
            policy["$or"][0] = random.choice(({"prefix": ["eu"]}, {"prefix": "eu"}))
    return policy


def _paths(policy: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield the name and the conditions of each field of a policy, that of an alternative, too."""
    for name, value in policy.items():
        if name == "$or":
            for one in value:
                yield from _paths(one)
        elif isinstance(value, dict):
            yield from ((f"{name}.{inner}", conditions) for inner, conditions in _paths(value))
        else:
            yield name, value if isinstance(value, list) else []


def _values(random: Random, policy: Policy) -> dict[str, Any]:
    """Return values for the fields of a policy, of which many are near to what it wants."""
    values: dict[str, Any] = {}
    for name, conditions in _paths(policy):
        near = [one for one in conditions if not isinstance(one, dict | list)]
        pool = near if near and random.random() < 0.5 else [*TEXTS, *NUMBERS, TOO_PRECISE, True, None, ""]
        value = random.choice(pool)
        kind = random.random()
        if kind < 0.2:
            value = [random.choice([*pool, *TEXTS]) for _ in range(random.randint(0, 3))]
        values[name] = MISSING if kind > 0.9 else value
    if random.random() < 0.5:
        values["other"] = "x"
    return values


def _sample(random: Random, scope: Scope, values: Mapping[str, Any]) -> Sample:
    present = {name: value for name, value in values.items() if value is not MISSING}
    if scope == "MessageBody":
        return Sample(_body(random, present), {})
    return Sample("x", dict(_attribute(random, name, value) for name, value in present.items()))


def _body(random: Random, values: Mapping[str, Any]) -> str:
    if random.random() < 0.03:
        return random.choice(("no JSON", "[]", "5", '"eu"'))
    body: dict[str, Any] = {}
    for name, value in values.items():
        outer, _, inner = name.partition(".")
        if inner and random.random() < 0.7:
            nested: Any = {inner: value}
            body[outer] = nested if random.random() < 0.5 else [nested, random.choice(({}, nested, {"x": 1}))]
        else:
            body[name] = value
    return json.dumps(body, ensure_ascii=random.random() < 0.5)


def _attribute(random: Random, name: str, value: Any) -> tuple[str, tuple[str, str]]:
    if random.random() < 0.03:
        return name, ("Binary", "eA==")
    if isinstance(value, list):
        numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in value)
        kind = "Number.Array" if numbers and random.random() < 0.3 else "String.Array"
        return name, (kind, json.dumps(value))
    if isinstance(value, str) and value:
        return name, (random.choice(("String", "String", "String.label")), value)
    if value in (None, "") or isinstance(value, bool):
        return name, ("String.Array", json.dumps([value]))
    return name, ("Number", json.dumps(value))


# ---- both answers


def _ours(policy: Policy, scope: Scope, sample: Sample) -> str:
    try:
        parsed = parse_policy(json.dumps(policy), scope)
    except PolicyError:
        return "malformed"
    failure = first_failure(parsed, MessageFields(sample.body, sample.attributes), Budget())
    return "refused" if failure else "taken"


def compare(groups: Sequence[Group], port: int) -> list[Pair]:
    """Publish every message on LocalStack, to a topic of its policy; return all pairs with both answers."""
    sns, sqs = (_client(service, port) for service in ("sns", "sqs"))
    suffix = uuid.uuid4().hex[:8]
    queue_url = sqs.create_queue(QueueName=f"policies-{suffix}")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]
    answers: list[list[str]] = []
    for number, group in enumerate(groups):
        topic_arn = sns.create_topic(Name=f"policy-{suffix}-{number}")["TopicArn"]
        settings = {"FilterPolicy": json.dumps(group.policy), "FilterPolicyScope": group.scope}
        try:
            sns.subscribe(
                TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn["QueueArn"], Attributes=settings
            )
        except ClientError:
            answers.append(["malformed"] * len(group.samples))
            continue
        answers.append(_publish(sns, topic_arn, group.samples))
    wanted = {
        answer
        for group, row in zip(groups, answers, strict=True)
        for answer, sample in zip(row, group.samples, strict=True)
        if _ours(group.policy, group.scope, sample) == "taken" and not _known_differences(group, sample)
    }
    delivered = _receive(sqs, queue_url, wanted - {"malformed", "failed"})
    return [
        Pair(group, sample, _ours(group.policy, group.scope, sample), _answer(answer, delivered))
        for group, row in zip(groups, answers, strict=True)
        for answer, sample in zip(row, group.samples, strict=True)
    ]


def _client(service: Any, port: int) -> Any:
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=30),
    )


def _answer(answer: str, delivered: set[str]) -> str:
    return answer if answer in ("malformed", "failed") else "taken" if answer in delivered else "refused"


def _publish(sns: Any, topic_arn: str, samples: Sequence[Sample]) -> list[str]:
    """Publish messages; return the SNS id of each, "failed" if LocalStack fails with it."""
    entries = [
        {"Id": str(number), "Message": sample.body, "MessageAttributes": _typed(sample.attributes)}
        for number, sample in enumerate(samples)
    ]
    with contextlib.suppress(ClientError):  # it fails with one of them
        answer = sns.publish_batch(TopicArn=topic_arn, PublishBatchRequestEntries=entries)
        ids = {one["Id"]: one["MessageId"] for one in answer["Successful"]}
        return [ids[entry["Id"]] for entry in entries]
    return [_publish_one(sns, topic_arn, entry) for entry in entries]


def _publish_one(sns: Any, topic_arn: str, entry: Mapping[str, Any]) -> str:
    try:
        answer = sns.publish(
            TopicArn=topic_arn, Message=entry["Message"], MessageAttributes=entry["MessageAttributes"]
        )
    except ClientError:
        return "failed"
    return str(answer["MessageId"])


def _typed(attributes: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    return {
        name: {"DataType": kind, "BinaryValue": b"x"}
        if kind == "Binary"
        else {"DataType": kind, "StringValue": value}
        for name, (kind, value) in attributes.items()
    }


def _receive(sqs: Any, queue_url: str, wanted: set[str]) -> set[str]:
    """Return the SNS ids of all messages that were delivered, these among them if they come in time."""
    delivered: set[str] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        is_waiting = not wanted <= delivered and time.monotonic() < deadline
        answer = sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1 if is_waiting else 0
        )
        found = answer.get("Messages", [])
        delivered |= {json.loads(message["Body"])["MessageId"] for message in found}
        if not found and not is_waiting:
            return delivered
        if found:
            handles = [{"Id": str(i), "ReceiptHandle": one["ReceiptHandle"]} for i, one in enumerate(found)]
            sqs.delete_message_batch(QueueUrl=queue_url, Entries=handles)


# ---- known differences


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return "text" if isinstance(value, str) else "number"


def _operator(condition: Any) -> tuple[str, Any]:
    if not isinstance(condition, dict):
        return "exactly", condition
    [(operator, operand), *_] = condition.items()
    if operator == "anything-but" and isinstance(operand, dict):
        [(inner, operand)] = operand.items()
        return f"anything-but {inner}", operand
    return operator, operand


@dataclass(frozen=True)
class Meeting:
    """A condition of a policy, and a field of a message that it is asked of."""

    scope: Scope
    type: str | None  # of the attribute
    operator: str
    operand: Any
    kinds: frozenset[str]  # of the values
    values: tuple[Any, ...]
    sample: Sample
    is_partial: bool  # some object of an array has the field, another does not


def _meetings(group: Group, sample: Sample) -> Iterator[Meeting]:
    for name, conditions in _paths(group.policy):
        kind, values, is_partial = None, (), False
        if group.scope == "MessageAttributes" and name in sample.attributes:
            kind, text = sample.attributes[name]
            with contextlib.suppress(ValueError):
                document = (
                    text
                    if kind.partition(".")[0] == "String" and kind != "String.Array"
                    else json.loads(text)
                )
                values = tuple(document) if isinstance(document, list) else (document,)
        elif group.scope == "MessageBody":
            values, is_partial = _body_values(sample.body, name)
        for condition in conditions:
            operator, operand = _operator(condition)
            kinds = frozenset(map(_kind, values))
            yield Meeting(group.scope, kind, operator, operand, kinds, values, sample, is_partial)


def _body_values(body: str, name: str) -> tuple[tuple[Any, ...], bool]:
    with contextlib.suppress(ValueError):
        document = json.loads(body)
        if isinstance(document, dict):
            outer, _, inner = name.partition(".")
            value = document.get(name, document.get(outer) if inner else None)
            if name in document or not inner:
                found = [value] if name in document else []
                return tuple(found[0]) if found and isinstance(found[0], list) else tuple(found), False
            nested = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]
            having = [one[inner] for one in nested if inner in one]
            flat = [leaf for one in having for leaf in (one if isinstance(one, list) else [one])]
            return tuple(flat), any(inner not in one or one[inner] == [] for one in nested)
    return (), False


_OF_TEXTS = ("prefix", "suffix", "equals-ignore-case", "anything-but prefix")


def _is_number_as_text(meeting: Meeting) -> bool:
    is_number = (meeting.type or "").partition(".")[0] == "Number"
    return is_number and meeting.operator not in ("numeric", "exists")


def _is_numeric_text(meeting: Meeting) -> bool:
    return meeting.operator == "numeric" and bool(meeting.kinds & {"text", "boolean"})


def _compares_booleans(meeting: Meeting) -> bool:
    operands = meeting.operand if isinstance(meeting.operand, list) else [meeting.operand]
    kinds = {*map(_kind, operands), *meeting.kinds}
    return meeting.operator in ("exactly", "anything-but") and {"boolean", "number"} <= kinds


def _lacks_precision(meeting: Meeting) -> bool:
    return "301.5" in str(meeting.operand) and str(TOO_PRECISE) in map(str, meeting.values)


# What LocalStack 4.14.0 does where it departs from the documentation; docs/filter-policies.md lists the same.
# Each is told by a condition and the field that it is asked of.
DIFFERENCES: Final[dict[str, Callable[[Meeting], bool]]] = {
    "Number attributes are compared as text": _is_number_as_text,
    "Number.Array is a text": lambda one: one.type == "Number.Array",
    "numeric takes texts, true and false": _is_numeric_text,
    "true is 1, and false is 0": _compares_booleans,
    "numbers have more than five digits": _lacks_precision,
    "a network contains numbers": lambda one: (
        one.operator == "cidr" and bool(one.kinds & {"number", "boolean"})
    ),
    "exists takes null and the empty text": (
        lambda one: one.operator == "exists" and ("null" in one.kinds or "" in one.values)
    ),
    "exists: false takes a message without attributes": (
        lambda one: (
            one.operator == "exists" and one.scope == "MessageAttributes" and not one.sample.attributes
        )
    ),
    "exists: false takes an array if one of its objects lacks the field": (
        lambda one: one.operator == "exists" and one.is_partial
    ),
    "Binary attributes are not ignored": (
        lambda one: "Binary" in {kind for kind, _ in one.sample.attributes.values()}
    ),
    "anything-but 0 takes nothing": lambda one: one.operator == "anything-but" and one.operand == 0,
    "operators of texts fail with other values": (
        lambda one: one.operator in _OF_TEXTS and bool(one.kinds & {"number", "boolean"})
    ),
    UNKNOWN_OPERATORS: (lambda one: one.operator in UNKNOWN_TO_LOCALSTACK),
}


def _has_odd_alternatives(group: Group) -> bool:
    """Return whether `$or` has one alternative, or the name of an operator where a field is expected."""
    alternatives = group.policy.get("$or")
    if alternatives is None:
        return False
    return any(
        len(one) < 2 or any("prefix" in each for each in one) for one in _all_alternatives(group.policy)
    )


def _all_alternatives(policy: Policy) -> Iterator[list[Policy]]:
    if "$or" in policy:
        yield policy["$or"]
        for one in policy["$or"]:
            yield from _all_alternatives(one)


def _repeats_field(policy: Policy, above: frozenset[str] = frozenset()) -> bool:
    """Return whether a field stands inside and outside of alternatives."""
    names = frozenset(name for name, _ in _paths({**policy, "$or": []}))
    return bool(names & above) or any(_repeats_field(one, above | names) for one in policy.get("$or", []))


# As above, told by the whole policy.
POLICY_DIFFERENCES: Final[dict[str, Callable[[Group], bool]]] = {
    "$or needs neither two alternatives nor names that are no operators": _has_odd_alternatives,
    "only the last conditions of a field inside and outside of $or count": (
        lambda group: _repeats_field(group.policy)
    ),
}


def _known_differences(group: Group, sample: Sample) -> list[str]:
    meetings = list(_meetings(group, sample))
    found = [name for name, applies in DIFFERENCES.items() if any(map(applies, meetings))]
    return found + [name for name, applies in POLICY_DIFFERENCES.items() if applies(group)]


@dataclass
class Comparison:
    """What became of all pairs: how many agree, by their answer, and differ, by why or for no known reason.

    `comparable` counts those of which no difference is known.
    """

    comparable: int = 0
    agreed: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    unknown: list[Pair] = field(default_factory=list)
    outcomes: dict[str, set[str]] = field(default_factory=dict)
    """The answers of both to policies of one operator; of ours alone, where LocalStack does not know it."""


def judge(pairs: Sequence[Pair]) -> Comparison:
    """Return what became of these pairs."""
    comparison = Comparison()
    for pair in pairs:
        differences = _known_differences(pair.group, pair.sample)
        comparison.comparable += not differences
        operator = pair.group.operator
        if operator and (not differences or operator in UNKNOWN_TO_LOCALSTACK):
            comparison.outcomes.setdefault(operator, set()).add(pair.ours)
        if pair.ours == pair.theirs:
            comparison.agreed[pair.ours] += 1
        elif differences:
            comparison.known[differences[0]] += 1
        else:
            comparison.unknown.append(pair)
    return comparison
