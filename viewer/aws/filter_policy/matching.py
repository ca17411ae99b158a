"""Asking a filter policy of a message: taken, or the first condition that failed, in words."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from viewer.aws.filter_policy.message import Budget, Found, MessageFields
from viewer.aws.filter_policy.operators import Condition, Exists, Scalar, listed, show
from viewer.aws.filter_policy.policy import AllOf, AnyOf, Field, FilterPolicy, Scope, name_of


@dataclass(frozen=True, slots=True)
class FieldFailed:
    """A field none of whose values meets any of the conditions."""

    scope: Scope
    field: Field
    found: Found


@dataclass(frozen=True, slots=True)
class AlternativesFailed:
    """Alternatives (`$or`) none of which is met, with what failed in each."""

    failures: tuple["Failure", ...]


@dataclass(frozen=True, slots=True)
class MessageFailed:
    """A message that no policy of this kind takes; the text says why."""

    reason: str


Failure: TypeAlias = FieldFailed | AlternativesFailed | MessageFailed


class Screen(Protocol):
    """What may be shown of a message."""

    def hides(self, scope: Scope, path: str) -> bool:
        """Return whether the values of this field are not to be shown, nor what a policy wants of it."""

    def text(self, scope: Scope, path: str, text: str) -> str:
        """Return a text of this field as it may be shown."""


def first_failure(policy: FilterPolicy, message: MessageFields, budget: Budget) -> Failure | None:
    """Return the first condition that the message does not meet, None if the policy takes it.

    Raises TooMuch.
    """
    if not policy.root.parts:
        return None
    if policy.scope == "MessageBody" and message.document is None:
        return MessageFailed("the body is not a JSON object")
    return _all_of(policy.root, policy.scope, message, budget)


def explain(failure: Failure, screen: Screen) -> str:
    """Return a failure in words, such as `region is "us", the policy wants "eu"`."""
    if isinstance(failure, MessageFailed):
        return failure.reason
    if isinstance(failure, AlternativesFailed):
        # Of many alternatives `listed` counts the others.
        each = [explain(one, screen) for one in failure.failures[:4]]
        return f"no alternative is met: {listed(each, len(failure.failures), 'and', '; ')}"
    return _explain_field(failure, screen)


def _all_of(wanted: AllOf, scope: Scope, message: MessageFields, budget: Budget) -> Failure | None:
    for part in wanted.parts:
        if isinstance(part, AnyOf):
            failure = _any_of(part, scope, message, budget)
        else:
            failure = _field(part, scope, message, budget)
        if failure:
            return failure
    return None


def _any_of(wanted: AnyOf, scope: Scope, message: MessageFields, budget: Budget) -> Failure | None:
    failures = []
    for alternative in wanted.alternatives:
        failure = _all_of(alternative, scope, message, budget)
        if not failure:
            return None
        failures.append(failure)
    return AlternativesFailed(tuple(failures))


def _field(field: Field, scope: Scope, message: MessageFields, budget: Budget) -> Failure | None:
    found = message.find(scope, field.path, budget)
    budget.spend(len(found.values) * len(field.conditions))
    if any(_meets(condition, found, scope, message) for condition in field.conditions):
        return None
    return FieldFailed(scope, field, found)


def _meets(condition: Condition, found: Found, scope: Scope, message: MessageFields) -> bool:
    if isinstance(condition, Exists) and not condition.wanted:
        # "exists": false takes no message that has no attributes at all ("Key matching", Amazon SNS).
        return not found.exists and (scope == "MessageBody" or message.has_attributes)
    return any(condition.takes(value) for value in found.values)


def _explain_field(failure: FieldFailed, screen: Screen) -> str:
    scope, path, found = failure.scope, failure.field.path, failure.found
    name, conditions = name_of(path), failure.field.conditions
    if found.exists and screen.hides(scope, path):
        return f"{name} does not match (its value is masked)"
    if not found.exists and any(isinstance(one, Exists) and not one.wanted for one in conditions):
        return f'{name} is missing, but "exists": false needs a message with at least one attribute'
    values = [_shown(scope, path, value, screen) for value in found.values[:4]]
    if found.ignored:
        actual = found.ignored
    elif values:
        actual = listed(values, len(found.values), "and")
    else:
        actual = "an empty array" if found.exists else "missing"
    if screen.hides(scope, path):
        return f"{name} is {actual}"
    wants = [condition.wants() for condition in conditions[:4]]
    return f"{name} is {actual}, the policy wants {listed(wants, len(conditions), 'or')}"


def _shown(scope: Scope, path: str, value: Scalar, screen: Screen) -> str:
    return show(screen.text(scope, path, value) if isinstance(value, str) else value)
