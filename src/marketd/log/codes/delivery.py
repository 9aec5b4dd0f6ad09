"""Warnings of what hands events on: bus, sinks, files, NATS, Redis Streams."""

from marketd.log.code import Code

CODES = {
    "bus-dropped": Code(
        "a consumer is slower than what arrives",
        "what the line names was dropped, or conflated to its latest, for that consumer only; durable sinks lose no trade",
        "see events_dropped_total by consumer; give it more capacity or fewer channels",
    ),
    "sink-retrying": Code(
        "a sink could not write",
        "its events wait, in memory and then on disk; other sinks go on",
        "make room or bring the server back; see the reason in the line",
    ),
    "sink-gave-up": Code(
        "a sink could not write for too long",
        "its events stay in the spill where it is durable, else they are dropped and counted",
        "repair the cause and restart",
    ),
    "spill-failing": Code(
        "events that a sink could not take cannot be kept on disk either: the disk or the spill is full",
        "what finds no room is lost for that sink, counted in events_dropped_total as spill_full",
        "make room, or raise `sinks.delivery.spill_bytes`",
    ),
    "file-mended": Code(
        "a file ended in the middle of a line, or held a line that cannot be read: the last run was killed or the disk erred",
        "a torn end is cut and fetched again; a damaged line within a file is skipped by every reader and stays where it is",
        "nothing, unless it happens without a kill: then check the disk",
    ),
    "store-upkeep": Code(
        "retention, rotation, compression or a checkpoint did not work",
        "nothing is lost; files stay larger than wished until it works again",
        "see the reason in the line",
    ),
    "capture-failed": Code(
        "the capture file could not be written fast enough or at all",
        "these records are missing in the capture; stores and sinks are not concerned",
        "make room, or capture to a faster disk",
    ),
    "nats-error": Code(
        "the NATS server cannot be reached, went away, does not let us in, or refuses what we do, in its own words",
        "what is for NATS waits, in memory and then on disk, trades and closed candles for certain; the rest goes on",
        "start or reach the server that the line names, or set NATS_URL; NATS_ENABLED=false where there is none",
    ),
    "nats-too-large": Code(
        "an event is larger than the NATS server takes in one message",
        "it is left out there and counted in events_dropped_total as too_large; other sinks have it",
        "raise `max_payload` of the server, or lower `book.depth`",
    ),
    "jetstream-off": Code(
        "USE_JETSTREAM is set and the NATS server has no JetStream, or not for this account",
        "what is for NATS waits, in memory and then on disk, trades and closed candles for certain; the rest goes on",
        "start the server with --js, or set USE_JETSTREAM=false for plain subjects",
    ),
    "stream-differs": Code(
        "the JetStream stream that is there has other limits than the configured ones, which the line names",
        "it is used as it is and never changed from here",
        "nothing, or `nats stream edit`, or the same numbers under nats.stream",
    ),
    "redis-away": Code(
        "the Redis server does not answer, or does not let us in",
        "until `redis.back` trades wait, in memory and then on disk; the shared cache is not written, read or heard",
        "see the reason; `marketd check` tries the address",
    ),
    "redis-lost": Code(
        "the Redis server no longer has what it had acknowledged",
        "they are missing in the streams that the line names; a restart of marketd fetches them again, where the venue can",
        "let Redis keep what it acknowledges: `appendonly yes` and `appendfsync always`; delete no streams",
    ),
    "redis-two-writers": Code(
        "another marketd writes the same trades into the same streams",
        "entries may be there twice",
        "stop one of the two, or split the symbols with `--shard`",
    ),
    "redis-held": Code(
        "a pair's stream cannot be written: its key holds something else, has no higher id left, or is not for the user",
        "its trades wait on disk and are written in order as soon as the key is mended (`redis.released`); all other pairs go on",
        "do what the line says: rename or delete that key",
    ),
    "redis-memory": Code(
        "the streams may grow beyond what the Redis server may use, or it already refuses writes",
        "once `maxmemory` is reached nothing more is stored there (trades wait on disk), or the server removes what it likes",
        "raise `maxmemory`, or lower STREAM_MAXLEN or the number of pairs",
    ),
}
