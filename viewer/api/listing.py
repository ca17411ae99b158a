"""What the page's list shows besides messages: counts of a search and its values, fields as columns."""

from dataclasses import dataclass
from typing import Annotated

from flask import request
from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema

from pipeline.search.grammar import suggest
from pipeline.store.reader import Reader
from viewer.api import examples
from viewer.api.blueprint import ApiBlueprint
from viewer.api.checks import Parameters
from viewer.api.models import Count, FacetValue, SearchQuery, Seq, Seqs
from viewer.api.views import Views

MAX_COUNTED = 10_000
MAX_FIELDS = 10
FIELDS_AT_ONCE = 20  # messages in memory


def _names(text: object) -> list[str]:
    names = str(text).split(",")
    if len(names) > MAX_FIELDS or not all(names):
        raise ValueError(f"names should be up to {MAX_FIELDS} fields, such as data.order.id,attr.tenant")
    return names


class FieldsQuery(Parameters):
    """Which fields of which messages."""

    names: Annotated[list[str], PlainValidator(_names), WithJsonSchema({"type": "string"})] = Field(
        description="fields as a search names them, separated by commas: `data.order.id,attr.tenant`"
    )
    seqs: Seqs = Field(description="messages, separated by commas")


@dataclass(slots=True)
class Counted:
    """How many messages a search finds."""

    count: Count
    exact: Annotated[bool, Field(description=f"false: there are more than {MAX_COUNTED:,}")]
    suggestion: Annotated[str | None, Field(description="if there are none, what may have been meant")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.COUNTED})


@dataclass(slots=True)
class FacetCounts:
    """How often each value occurs among the newest messages found."""

    counted: Annotated[Count, Field(description="how many messages")]
    complete: Annotated[bool, Field(description="whether these are all")]
    facets: Annotated[dict[str, list[FacetValue]], Field(description="by the names that a search uses")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.FACET_COUNTS})


@dataclass(slots=True)
class MessageFields:
    """Some fields of a message, as text. A field that the message does not have is missing."""

    seq: Seq
    fields: dict[str, str]


@dataclass(slots=True)
class FieldsOfMessages:
    """Some fields of messages, oldest first."""

    messages: list[MessageFields]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.FIELDS})


def listing_blueprint(reader: Reader, views: Views) -> ApiBlueprint:
    """Return `/api/messages/count`, `…/facets` and `…/fields`."""
    blueprint = ApiBlueprint(
        "listing", __name__, about="Count messages, and read fields of them", prefix="/api/messages"
    )

    @blueprint.get("/count")
    def count_messages(query: SearchQuery) -> Counted:
        """Count what a search finds.

        Exact up to ten thousand. If nothing is found, `suggestion` is the search with misspelt operators
        corrected.
        """
        count = reader.count_up_to(MAX_COUNTED + 1, query.search)
        meant = suggest(request.args.get("q", "")) if not count else None
        return Counted(min(count, MAX_COUNTED), count <= MAX_COUNTED, meant)

    @blueprint.get("/facets")
    def count_values(query: SearchQuery) -> FacetCounts:
        """Count the values of a search.

        The most frequent values of type, source, topic, queue, subject, status and attributes among the ten
        thousand newest messages found.
        """
        facets = reader.facets(query.search)
        return FacetCounts(facets.counted, facets.complete, views.facets(facets))

    @blueprint.get("/fields")
    def read_fields(query: FieldsQuery) -> FieldsOfMessages:
        """Read some fields of messages.

        What the page shows as columns, for messages that were listed before.
        """
        found = []
        for at in range(0, len(query.seqs), FIELDS_AT_ONCE):
            messages = reader.read(query.seqs[at : at + FIELDS_AT_ONCE])
            found += [MessageFields(one.seq, views.fields(one, query.names)) for one in messages]
        return FieldsOfMessages(found)

    return blueprint
