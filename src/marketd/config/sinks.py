"""The section `sinks`: one part for each sink, gathered from the sinks' own files."""

from pydantic import Field

from marketd.section import Section
from marketd.sinks.console import ConsoleConfig
from marketd.sinks.delivery import DeliveryConfig
from marketd.sinks.jsonl import JsonLinesConfig
from marketd.sinks.prometheus import PrometheusConfig
from marketd.stores.events import EventStoreConfig


class SinksConfig(Section):
    """Where events go."""

    delivery: DeliveryConfig = Field(DeliveryConfig(), description="what holds for all sinks")
    sqlite: EventStoreConfig = Field(EventStoreConfig(), description="the event store")
    jsonl: JsonLinesConfig = Field(JsonLinesConfig(), description="JSON lines in a file")
    console: ConsoleConfig = Field(ConsoleConfig(), description="standard output")
    prometheus: PrometheusConfig = Field(PrometheusConfig(), description="metrics of what passes")
