"""The stack of overlays/aws: `make aws` deploys it on LocalStack, and the pipeline runs on it.

LocalStack's community edition accepts all of it, but enforces no policies, neither of IAM nor of the key,
encrypts nothing and raises no alarms. It has no EKS, so ClusterName stays empty, and it returns outputs
without their descriptions. Policies are therefore compared with what the services really ask.
"""

import base64
import json
import re
import runpy
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
import yaml

from consumer.settings import ConsumerSettings
from local.emulators import LOCALSTACK_PYTHON, RESOURCES, ROOT, aws_environment
from tests.support.manifests import SERVICES, one
from tests.support.recording import Call, Recorder
from tests.support.services import Service
from tests.support.waiting import wait_for

TEMPLATE = ROOT / "overlays" / "aws" / "cloudformation.yaml"
PROGRAMS = LOCALSTACK_PYTHON.parent  # LocalStack brings the AWS CLI and cfn-lint
STACK, ACCOUNT = "fanout", "210987654321"
QUEUE = "news-archive"
PARAMETERS = {
    "TopicName": "news",
    "QueueName": QUEUE,
    "VisibilityTimeoutSeconds": "20",
    "MaxReceiveCount": "2",
    "AlarmAgeSeconds": "600",
    "AlarmTopicArn": "arn:aws:sns:us-east-1:000000000000:alarms",
}
SETTINGS = {
    "AWS_REGION": "us-east-1",
    "TOPIC_NAME": "news",
    "QUEUE_NAME": QUEUE,
    "VISIBILITY_TIMEOUT_SECONDS": "20",
}
FIFO = ".fifo"
# The AWS CLI looks only every 30 seconds whether the stack is there.
IMPATIENT = "import time; wait = time.sleep; time.sleep = lambda seconds: wait(min(seconds, 0.2))"
# What localstack-init creates without, and why the stack has it.
DIFFERENCES = {
    ("news", "KmsMasterKeyId"): "encrypted on AWS, where others share the disks",
    (QUEUE, "KmsMasterKeyId"): "encrypted on AWS, where others share the disks",
    (f"{QUEUE}-dlq", "KmsMasterKeyId"): "encrypted on AWS, where others share the disks",
    (
        f"{QUEUE}-dlq",
        "RedriveAllowPolicy",
    ): "other queues in the account have dead-letter queues of their own",
}
VOLATILE = {"CreatedTimestamp", "LastModifiedTimestamp", "SubscriptionArn"}
# What encryption needs besides ("Key management", Amazon SNS and Amazon SQS). Emulators do not ask for it.
KEY_ACTIONS = {
    "sns:Publish": {"kms:GenerateDataKey", "kms:Decrypt"},
    "sqs:SendMessage": {"kms:GenerateDataKey", "kms:Decrypt"},
    "sqs:ReceiveMessage": {"kms:Decrypt"},
}
Permissions = set[tuple[str, str]]  # actions and resources


@dataclass(frozen=True)
class Stack:
    """The stack that `make aws` has deployed, and what it printed."""

    port: int
    printed: str

    def client(self, service: Any) -> Any:
        return client(service, self.port, ACCOUNT)

    @cached_property
    def outputs(self) -> dict[str, str]:
        [stack] = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def role(self, service: str) -> Any:
        return self.client("iam").get_role(RoleName=self._role_name(service))["Role"]

    def permissions(self, service: str) -> Permissions:
        """Return what the role of a service allows."""
        iam, role = self.client("iam"), self._role_name(service)
        assert iam.list_role_policies(RoleName=role)["PolicyNames"] == []
        [attached] = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)
        statements = document["PolicyVersion"]["Document"]["Statement"]
        assert {statement["Effect"] for statement in statements} == {"Allow"}
        return {
            pair for one in statements for pair in product(listed(one["Action"]), listed(one["Resource"]))
        }

    def _role_name(self, service: str) -> str:
        return self.outputs[f"{service.capitalize()}RoleArn"].rpartition("/")[2]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def client(service: Any, port: int, account: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=account,
        aws_secret_access_key="test",
    )


@pytest.fixture(scope="module")
def stack(localstack_port: int, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("aws")
    (folder / "sitecustomize.py").write_text(IMPATIENT)
    parameters = " ".join(f"{name}={value}" for name, value in PARAMETERS.items())
    done = subprocess.run(
        ["make", "--silent", "aws", f"STACK={STACK}", f"PARAMETERS={parameters}"],
        cwd=ROOT,
        env={
            **aws_environment(localstack_port),
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "PATH": f"{PROGRAMS}:/usr/bin:/bin",
            "PYTHONPATH": str(folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Stack(localstack_port, done.stdout)


# ---- The template


class Loader(yaml.SafeLoader):
    """Reads what is written with the tags of CloudFormation as what they are applied to."""


def untagged(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


Loader.add_multi_constructor("!", untagged)
PARAMETER_TYPES = yaml.load(TEMPLATE.read_text(), Loader)["Parameters"]


def test_cfn_lint_has_nothing_to_say() -> None:
    done = subprocess.run(
        [PROGRAMS / "cfn-lint", "--include-checks", "I", "--", TEMPLATE],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_parameter_is_described_has_limits_and_a_default_within_them() -> None:
    for name, parameter in PARAMETER_TYPES.items():
        default = parameter["Default"]
        assert parameter["Description"].endswith("."), name
        if parameter["Type"] == "Number":
            assert parameter["MinValue"] <= default <= parameter["MaxValue"]
        elif "AllowedPattern" in parameter:
            assert re.fullmatch(parameter["AllowedPattern"], default)
            assert parameter["ConstraintDescription"]
        elif "AllowedValues" in parameter:
            assert default in parameter["AllowedValues"]
        else:
            assert len(default) <= parameter["MaxLength"]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("TopicName", "a topic"),
        ("QueueName", "q" * 72),
        ("AlarmTopicArn", "alarms"),
        ("Namespace", "Default"),
        ("Namespace", "-"),
    ],
)
def test_a_parameter_refuses(parameter: str, value: str) -> None:
    assert not re.fullmatch(PARAMETER_TYPES[parameter]["AllowedPattern"], value)


def test_without_parameters_the_stack_has_the_names_that_the_services_expect() -> None:
    expected = one("ConfigMap", "fanout")["data"]
    limits = ConsumerSettings.model_json_schema()["properties"]["visibility_timeout_seconds"]
    timeout = PARAMETER_TYPES["VisibilityTimeoutSeconds"]

    for name, setting in (("TopicName", "TOPIC_NAME"), ("QueueName", "QUEUE_NAME")):
        assert PARAMETER_TYPES[name]["Default"] == expected[setting]
    assert str(timeout["Default"]) == expected["VISIBILITY_TIMEOUT_SECONDS"]
    assert (timeout["MinValue"], timeout["MaxValue"]) == (limits["minimum"], limits["maximum"])


# ---- The stack


def test_make_aws_says_which_settings_the_services_need(stack: Stack) -> None:
    assert f"the stack {STACK} to the account {ACCOUNT}" in stack.printed
    assert dict(re.findall(r'^ +([A-Z_]+): "(.*)"$', stack.printed, re.MULTILINE)) == SETTINGS


def resources(sns: Any, sqs: Any, account: str) -> dict[tuple[str, str], Any]:
    """Return the attributes of all topics, subscriptions and queues, by name and attribute."""
    found: dict[str, Mapping[str, str]] = {}
    for url in sqs.list_queues()["QueueUrls"]:
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        found[url.rpartition("/")[2]] = answer["Attributes"]
    for topic in sns.list_topics()["Topics"]:
        answer = sns.get_topic_attributes(TopicArn=topic["TopicArn"])
        found[topic["TopicArn"].rpartition(":")[2]] = answer["Attributes"]
    for number, subscription in enumerate(sns.list_subscriptions()["Subscriptions"]):
        answer = sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])
        found[f"subscription {number}"] = answer["Attributes"]
    return {
        (name, attribute): comparable(value, account)
        for name, attributes in found.items()
        for attribute, value in attributes.items()
        if attribute not in VOLATILE
    }


def comparable(value: str, account: str) -> Any:
    value = value.replace(account, "ACCOUNT")
    return json.loads(value) if value.startswith("{") else value


@pytest.fixture
def fifo_account(localstack_port: int) -> str:
    """Return an account with a FIFO stack, whose names end with .fifo."""
    account = "210987654322"
    parameters = [
        {"ParameterKey": name, "ParameterValue": value}
        for name, value in {**PARAMETERS, "Suffix": FIFO}.items()
    ]
    cloudformation = client("cloudformation", localstack_port, account)
    cloudformation.create_stack(
        StackName=STACK,
        TemplateBody=TEMPLATE.read_text(),
        Parameters=parameters,
        Capabilities=["CAPABILITY_IAM"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
    )
    return account


def assert_equal_to_localstack_init(port: int, ours: str, theirs: str, suffix: str = "") -> None:
    """Create the resources of localstack-init in the account `theirs`, and compare."""
    settings = {**SETTINGS, "TOPIC_NAME": f"news{suffix}", "QUEUE_NAME": f"{QUEUE}{suffix}"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**settings, "MAX_RECEIVE_COUNT": PARAMETERS["MaxReceiveCount"]}.items():
            patch.setenv(name, value)
        runpy.run_path(str(RESOURCES))

    of_stack, of_script = (
        resources(client("sns", port, account), client("sqs", port, account), account)
        for account in (ours, theirs)
    )

    all_names = of_stack.keys() | of_script.keys()
    differing = {what for what in all_names if of_stack.get(what) != of_script.get(what)}
    assert differing == {(f"{name}{suffix}", attribute) for name, attribute in DIFFERENCES}
    sources = [f"arn:aws:sqs:us-east-1:ACCOUNT:{QUEUE}{suffix}"]
    assert of_stack[f"{QUEUE}-dlq{suffix}", "RedriveAllowPolicy"] == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": sources,
    }


def test_topic_queues_and_subscription_equal_those_of_localstack_init(
    stack: Stack, open_account: Callable[[str], dict[str, str]]
) -> None:
    other = open_account("localstack")["AWS_ACCESS_KEY_ID"]

    assert_equal_to_localstack_init(stack.port, ACCOUNT, other)


def test_fifo_topic_and_queues_equal_those_of_localstack_init(
    localstack_port: int, fifo_account: str, open_account: Callable[[str], dict[str, str]]
) -> None:
    other = open_account("localstack")["AWS_ACCESS_KEY_ID"]

    assert_equal_to_localstack_init(localstack_port, fifo_account, other, FIFO)


def test_topic_and_queues_are_encrypted_with_the_key(stack: Stack) -> None:
    found = resources(stack.client("sns"), stack.client("sqs"), ACCOUNT)

    keys = {name: key for (name, attribute), key in found.items() if attribute == "KmsMasterKeyId"}
    key = stack.outputs["KeyArn"].replace(ACCOUNT, "ACCOUNT")
    assert keys == dict.fromkeys(("news", QUEUE, f"{QUEUE}-dlq"), key)


def test_the_key_is_rotated_and_lets_sns_deliver(stack: Stack) -> None:
    kms, key = stack.client("kms"), stack.outputs["KeyArn"].rpartition("/")[2]

    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])

    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    allowed = {one["Sid"]: (one["Principal"], listed(one["Action"])) for one in policy["Statement"]}
    assert allowed == {
        "Account": ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, ["kms:*"]),
        "DeliverToTheQueue": ({"Service": "sns.amazonaws.com"}, ["kms:GenerateDataKey", "kms:Decrypt"]),
    }


def test_alarms_watch_the_age_of_the_oldest_message_and_dead_letters(stack: Stack) -> None:
    alarms = stack.client("cloudwatch").describe_alarms()["MetricAlarms"]

    watched = {
        (alarm["MetricName"], alarm["Dimensions"][0]["Value"], alarm["Threshold"], alarm["TreatMissingData"])
        for alarm in alarms
    }
    assert watched == {
        ("ApproximateAgeOfOldestMessage", QUEUE, 600.0, "notBreaching"),
        ("ApproximateNumberOfMessagesVisible", f"{QUEUE}-dlq", 0.0, "notBreaching"),
    }
    for alarm in alarms:
        assert alarm["Namespace"] == "AWS/SQS"
        assert alarm["AlarmActions"] == alarm["OKActions"] == [PARAMETERS["AlarmTopicArn"]]


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_service_account_of_a_service_gets_its_role(service: str, stack: Stack) -> None:
    [trusted] = stack.role(service)["AssumeRolePolicyDocument"]["Statement"]

    assert trusted["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trusted["Condition"]["StringEquals"] == {
        "aws:RequestTag/kubernetes-namespace": "default",
        "aws:RequestTag/kubernetes-service-account": service,
    }


# ---- The pipeline on it


class Pipeline:
    """The services on the stack, with a recording of what each asks of AWS."""

    def __init__(self, stack: Stack, database_url: str, start: Callable[..., Service], never: Path) -> None:
        self.recorders = {service: Recorder(stack.port) for service in SERVICES}
        environment = {
            **aws_environment(stack.port),
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            **SETTINGS,
            "DATABASE_URL": database_url,
            "MENDED": str(never),
            "HANDLER": "store,tests.support.handlers:refuse_poison",
            "RETRY_SECONDS": "0",
        }
        started = {
            service: start(
                service, environment, wait=False, AWS_ENDPOINT_URL=f"http://127.0.0.1:{recorder.port}"
            )
            for service, recorder in self.recorders.items()
        }
        for service in started.values():
            wait_for(service.is_ready, 30)
        self._url = started["viewer"].url

    def close(self) -> None:
        for recorder in self.recorders.values():
            recorder.close()

    def ask(self, method: str, path: str, **options: Any) -> Any:
        response = requests.request(method, f"{self._url}/api/{path}", timeout=30, **options)
        assert response.ok, response.text
        return response.json()

    def stored(self, search: str) -> list[dict[str, Any]]:
        found = self.ask("GET", "messages", params={"q": search})["messages"]
        assert isinstance(found, list)
        return found

    def dead_letters(self) -> list[str]:
        """Return their ids in SQS, once the dead-letter queue holds them."""
        waiting = self.ask("GET", "waiting", params={"queue": f"{QUEUE}-dlq"})["messages"]
        found = {letter["message_id"] for letter in self.ask("GET", "dead-letters")["dead_letters"]}
        return sorted(found & {one["message_id"] for one in waiting})

    def redrive(self, **body: Any) -> None:
        self.ask("POST", "dead-letters/redrive", json=body)

    def wait_for_the_redrive(self, *statuses: str) -> None:
        wait_for(lambda: self.ask("GET", "dead-letters/redrive")["redrive"]["status"] in statuses)


@pytest.fixture
def pipeline(
    stack: Stack, database_url: str, start: Callable[..., Service], tmp_path: Path
) -> Iterator[Pipeline]:
    with closing(Pipeline(stack, database_url, start, tmp_path / "never")) as pipeline:
        yield pipeline


def test_the_pipeline_runs_on_it_with_exactly_the_actions_of_its_roles(
    stack: Stack, pipeline: Pipeline
) -> None:
    use_everything(pipeline)

    for service, recorder in pipeline.recorders.items():
        allowed = stack.permissions(service)
        for_key = {action for action, _ in allowed if action.startswith("kms:")}
        used = {permission_for(call, allowed) for call in recorder.calls}
        assert used == {one for one in allowed if one[0] not in for_key}, service
        assert for_key == set().union(*(KEY_ACTIONS.get(action, set()) for action, _ in used))
        assert {one for action, one in allowed if action in for_key} == {stack.outputs["KeyArn"]}


def use_everything(pipeline: Pipeline) -> None:
    """Let the services do all that they can do with AWS."""
    greeting = wait_for(lambda: pipeline.stored("type:fanout.greeting"), what="a greeting of the producer")[0]
    pipeline.ask("POST", f"messages/{greeting['seq']}/copies")
    for number in range(6):  # so many that moving them, one a second, is still under way when it is cancelled
        pipeline.ask("POST", "messages", json={"text": f"poison {number}"})
    wait_for(lambda: len(pipeline.dead_letters()) == 6, what="six dead letters")
    chosen = pipeline.dead_letters()[0]
    pipeline.redrive(message_ids=[chosen])
    pipeline.wait_for_the_redrive("completed")
    pipeline.redrive(all=True, per_second=1)
    pipeline.ask("DELETE", "dead-letters/redrive")
    pipeline.wait_for_the_redrive("cancelled", "completed")
    for queue in (QUEUE, f"{QUEUE}-dlq"):
        pipeline.ask("DELETE", "waiting", params={"queue": queue})
    assert pipeline.ask("GET", "pipeline")["topic"]["state"] == "up"
    wait_for(lambda: pipeline.ask("GET", "topology")["topics"])


def permission_for(call: Call, allowed: Permissions) -> tuple[str, str]:
    """Return the permission that a call uses, that for everything if there is one."""
    return (
        (call.action, "*") if (call.action, "*") in allowed else (call.action, resource_of(call.parameters))
    )


def resource_of(parameters: Mapping[str, Any]) -> str:
    """Return the ARN of what was asked for; an asterisk if it was a list of everything."""
    if "TaskHandle" in parameters:  # holds the ARN of the queue, on AWS too
        parameters = {"SourceArn": json.loads(base64.b64decode(parameters["TaskHandle"]))["sourceArn"]}
    for arn in ("TopicArn", "SourceArn"):
        if arn in parameters:
            return str(parameters[arn])
    name = parameters.get("QueueName") or str(parameters.get("QueueUrl", "")).rpartition("/")[2]
    return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}" if name else "*"
