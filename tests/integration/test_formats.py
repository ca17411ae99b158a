"""What really flows through SNS and SQS, as it is stored."""

from tests.support.consuming import TestConsumer
from tests.support.emulators import Names
from tests.support.samples import publish_samples
from tests.support.stores import Store


def test_every_sample_is_stored_at_the_first_try_exactly_as_it_was_published(
    names: Names, store: Store
) -> None:
    published = publish_samples(names.topic)
    outcome = TestConsumer(names, store).take(len(published))

    assert outcome.failed == []
    assert sorted(one.body for one in store.read(limit=100, after=0)) == sorted(one.body for one in published)
