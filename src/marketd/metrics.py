"""Every metric that marketd exports, named once, in a registry of its own."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

LATENCY_MS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
OTHER = "other"
SYMBOLS_MAX = 2000  # that have a series of their own


disable_created_metrics()  # type: ignore[no-untyped-call]  # a second family of each counter, which nobody asked for


class Metrics:
    """One registry per daemon, so that two daemons in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        # Fixed by contracts: existing dashboards ask for these names.
        self.events = Counter("market_events", "Events published", ["provider", "type", "symbol"], registry=registry)
        self.latency_ms = Histogram(
            "market_exchange_latency_ms", "ts_recv - ts_event", ["provider"], buckets=LATENCY_MS, registry=registry
        )
        self.events_per_second = Gauge("market_events_per_second", "Events a second, 1 s mean", ["provider"], registry=registry)
        self.gaps = Counter("market_gaps", "Gaps found", ["provider"], registry=registry)
        self.features_in = Counter("senpai_events_in", "Events the features took in", ["type", "provider"], registry=registry)
        self.features_dropped = Counter(
            "senpai_events_dropped", "Events the features did not get", ["reason", "type"], registry=registry
        )
        self.features_fill = Gauge("senpai_queue_fill_ratio", "Fill of the features' queue", registry=registry)
        self.features_ms = Histogram(
            "senpai_processing_latency_ms", "ts_recv to taken into the windows", buckets=LATENCY_MS, registry=registry
        )
        self.features_published = Counter("senpai_feature_publish", "Feature messages published", ["symbol"], registry=registry)
        self.signals = Counter("senpai_signals_emitted", "Signals sent", ["symbol", "direction"], registry=registry)
        self.features_connected = Gauge("senpai_nats_connected", "1 while NATS is connected", registry=registry)
        self.alerts = Counter("senpai_alerts", "Alerts raised", ["kind"], registry=registry)
        self.publish_errors = Counter("senpai_publish_errors", "Messages not published", ["subject"], registry=registry)
        self.tracked_symbols = Gauge("senpai_tracked_symbols", "Symbols with features", registry=registry)
        # Our own.
        self.frames_bad = Counter("marketd_frames_bad", "Frames not understood", ["venue", "reason"], registry=registry)
        self.events_quarantined = Counter(
            "marketd_events_quarantined", "Impossible values, kept aside", ["venue", "reason"], registry=registry
        )
        self.faults = Counter("marketd_faults", "Mistakes inside a feed, survived", ["venue", "where"], registry=registry)
        self.duplicates = Counter("marketd_duplicates", "Events dropped by identity", ["venue", "type"], registry=registry)
        self.repairs = Counter("marketd_repairs", "Repairs ended", ["venue", "result"], registry=registry)
        self.reconnects = Counter("marketd_reconnects", "Connections opened again", ["venue", "cause"], registry=registry)
        self.connections = Gauge("marketd_connections", "Open connections", ["venue"], registry=registry)
        self.resyncs = Counter("marketd_book_resyncs", "Books asked for anew", ["venue", "cause"], registry=registry)
        self.rest_requests = Counter("marketd_rest_requests", "REST requests", ["venue", "result"], registry=registry)
        self.rest_weight = Gauge("marketd_rest_weight_used", "Share of the REST limit in use", ["venue"], registry=registry)
        self.switches = Counter("marketd_failover_switches", "Failover switches", ["venue", "to"], registry=registry)
        self.clock_offset_ms = Gauge("marketd_clock_offset_ms", "Venue clock minus ours", ["venue"], registry=registry)
        self.discoveries = Counter("marketd_discovery_refreshes", "Rankings asked for", ["result"], registry=registry)
        self.discovery_pairs = Gauge("marketd_discovery_pairs", "Discovered pairs in force", ["venue"], registry=registry)
        self.discovery_changes = Counter(
            "marketd_discovery_changes", "Pairs added and removed by discovery", ["venue", "change"], registry=registry
        )
        self.discovery_time = Gauge(
            "marketd_discovery_refreshed_timestamp_seconds", "When the ranking in force was fetched", registry=registry
        )
        self.nats_connected = Gauge("marketd_nats_connected", "1 while NATS is connected", registry=registry)
        self.nats_reconnects = Counter("marketd_nats_reconnects", "Connections to NATS opened again", registry=registry)
        self.dropped = Counter("events_dropped", "Events dropped", ["consumer", "reason", "type"], registry=registry)
        self.delivered = Counter("marketd_events_delivered", "Events delivered", ["consumer"], registry=registry)
        self.spilled = Counter("marketd_events_spilled", "Events spilled to disk", ["consumer"], registry=registry)
        self.queue_fill = Gauge("marketd_queue_fill_ratio", "Fill of a consumer's queue", ["consumer"], registry=registry)
        self.write_retries = Counter("marketd_write_retries", "Batches offered again", ["consumer"], registry=registry)
        self.lines_damaged = Counter("marketd_lines_damaged", "Lines found damaged, and skipped", ["consumer"], registry=registry)
        self.stored_ms = Histogram(
            "marketd_stored_latency_ms", "ts_recv to committed", ["consumer"], buckets=LATENCY_MS, registry=registry
        )
        self.api_refused = Counter("marketd_api_refused", "Requests and connections let go", ["reason"], registry=registry)
        self.stream_clients = Gauge("marketd_stream_clients", "Clients of /ws", registry=registry)
        self.stream_closed = Counter("marketd_stream_closed", "Clients of /ws that went", ["reason"], registry=registry)
        self.stream_messages = Counter("marketd_stream_messages", "Messages to clients of /ws", registry=registry)
        self.stream_deflate = Counter(
            "marketd_stream_deflate_bytes", "Events for /ws before (in) and after (out) packing", ["side"], registry=registry
        )
        self.stream_mistakes = Counter("marketd_stream_mistakes", "Requests on /ws that were refused", registry=registry)
        self.stream_fill = Gauge("marketd_stream_queue_fill_ratio", "Fill of the slowest client's queue", registry=registry)
        self.stream_held = Gauge("marketd_stream_held_bytes", "Events held for clients of /ws", registry=registry)
        self.archive_requests = Counter("marketd_archive_pages", "Pages of candles asked for", ["venue"], registry=registry)
        self.archive_open = Gauge(
            "marketd_archive_open_minutes", "History not accounted for", ["venue", "symbol", "timeframe"], registry=registry
        )
        self.candles_compared = Counter(
            "marketd_candles_compared", "Closed candles, streamed against built", ["venue", "result"], registry=registry
        )
        self.candles_revised = Counter("marketd_candles_revised", "Closed candles corrected", ["venue"], registry=registry)
        self.claims_unreadable = Counter(
            "marketd_claims_unreadable", "Keys of the partitions' bucket that are no claim", registry=registry
        )
        self.partitions_owned = Gauge("marketd_partitions_owned", "Partitions that this member reads", registry=registry)
        self.redis_needed = Gauge("marketd_redis_needed_bytes", "Memory of the Redis streams when full", registry=registry)
        self.redis_maxmemory = Gauge(
            "marketd_redis_maxmemory_bytes", "What the Redis server may use, 0 is no limit", registry=registry
        )
        self.cache_round_trips = Counter("marketd_cache_round_trips", "Questions to the shared cache's server", registry=registry)
        self.cache_bytes = Counter(
            "marketd_cache_bytes", "Bytes to and from the shared cache's server", ["direction"], registry=registry
        )
        self.cache_missed = Counter(
            "marketd_cache_messages_missed", "Messages that a slow listener had no room for", ["source"], registry=registry
        )
        self.cache_refreshes = Counter(
            "marketd_cache_refreshes", "Keys of the cache refreshed, or not", ["timeframe", "result"], registry=registry
        )
        self.cache_age_s = Gauge(
            "marketd_cache_age_seconds", "Age of the oldest key of the cache that is kept", ["timeframe"], registry=registry
        )
        self.log_lost = Counter(
            "marketd_message_log_lost", "Entries that could not be written", ["stream", "reason"], registry=registry
        )
        self.analysis_readings = Counter(
            "marketd_analysis_readings", "Readings of a coin that were made", ["role", "timeframe"], registry=registry
        )
        self.analysis_signals = Counter(
            "marketd_analysis_signals", "Signals published", ["timeframe", "rule", "direction"], registry=registry
        )
        self.analysis_skipped = Counter(
            "marketd_analysis_skipped", "Coins, candles and messages left out", ["role", "reason"], registry=registry
        )
        self.analysis_age = Gauge(
            "marketd_analysis_age_seconds", "Since the cache was read last", ["role", "timeframe"], registry=registry
        )
        self.paper_orders = Counter("marketd_paper_orders", "Decisions of the paper trader", ["why", "result"], registry=registry)
        self.paper_skipped = Counter("marketd_paper_skipped", "What a paper trader could not use", ["reason"], registry=registry)
        self.paper_positions = Gauge("marketd_paper_positions", "Positions open on paper", registry=registry)
        self.paper_equity = Gauge(
            "marketd_paper_equity", "Cash and positions on paper at the last closes, quote currency", registry=registry
        )
        self.component_health = Gauge(
            "marketd_component_health",
            "Each part of /health: 1 ok, 0.5 degraded, 0 unhealthy; required: yes or no",
            ["component", "required"],
            registry=registry,
        )
        self.process = ProcessCollector(registry=registry)  # processor, memory, open files: where there is a /proc
        self.loop_lag_ms = Gauge("marketd_loop_lag_ms", "Lateness of the event loop", registry=registry)

    def text(self) -> bytes:
        """The exposition that Prometheus scrapes."""
        return generate_latest(self.registry)


class Few:
    """The first so many names stand for themselves: who feeds a process may invent names without end."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def named(self, name: str) -> str:
        """The name, or `other`."""
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name
