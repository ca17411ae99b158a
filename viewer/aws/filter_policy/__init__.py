"""Filter policies of SNS subscriptions: would a message be taken, and if not, which condition fails first."""

from viewer.aws.filter_policy.matching import Failure, Screen, explain, first_failure
from viewer.aws.filter_policy.message import Budget, MessageFields, TooMuch
from viewer.aws.filter_policy.policy import FilterPolicy, PolicyError, Scope, parse_policy

__all__ = [
    "Budget",
    "Failure",
    "FilterPolicy",
    "MessageFields",
    "PolicyError",
    "Scope",
    "Screen",
    "TooMuch",
    "explain",
    "first_failure",
    "parse_policy",
]
