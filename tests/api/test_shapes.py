"""What the schema says of an answer is what its type has."""

from typing import Any

import httpx
import msgspec
import pytest

from marketd.analysis.scanning import Ranking
from marketd.analysis.technical import Reading
from marketd.api.analysis import ANALYSIS
from marketd.api.scanner import SCANNER
from marketd.api.shapes import COMPONENTS
from marketd.model.events import Trade


def fields_of(schema: dict[str, Any], components: dict[str, Any]) -> Any:
    """The names of a schema, nested as they are, whatever their kinds."""
    for one in schema.get("anyOf", []):
        if one != {"type": "null"}:
            return fields_of(one, components)
    if "$ref" in schema:
        return fields_of(components[schema["$ref"].rpartition("/")[2]], components)
    if "items" in schema and isinstance(schema["items"], dict):
        return fields_of(schema["items"], components)
    return {name: fields_of(one, components) for name, one in schema.get("properties", {}).items()} or None


@pytest.mark.parametrize(("kind", "said"), [(Ranking, SCANNER), (Reading, ANALYSIS)])
def test_an_analysis_has_the_fields_that_the_schema_names(kind: type, said: dict[int, Any]) -> None:
    (schema,), components = msgspec.json.schema_components([kind])

    assert fields_of(schema, components) == fields_of(said[200]["content"]["application/json"]["schema"], components)


def test_times_are_said_to_be_wider_than_a_double() -> None:
    trade = COMPONENTS["Trade"]

    assert {"type": "integer", "format": "int64"} == trade["properties"]["ts_recv"]
    assert set(msgspec.to_builtins(Trade("v", "S", None, 1, "1", "1", None, "1"))) == set(trade["properties"]) - {"raw"}


async def test_the_schema_that_is_served_holds_every_shape(client: httpx.AsyncClient) -> None:
    text = (await client.get("/openapi.json")).text
    schema = msgspec.json.decode(text)
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}

    assert set(COMPONENTS) <= set(schema["components"]["schemas"])
    assert named <= set(schema["components"]["schemas"])
