"""The codes of warnings and errors: what each means for the data, and what a person can do. `docs/operations.md` lists them."""

from typing import NamedTuple


class Code(NamedTuple):
    cause: str
    effect: str
    next: str


CODES: dict[str, Code] = {
    "feed-reconnecting": Code(
        "a venue's connection ended or went silent",
        "nothing arrives until it is back; the gap is found and repaired where the venue allows it",
        "nothing, unless it repeats for minutes: then check the network and the venue's status page",
    ),
    "feed-protocol": Code(
        "a venue's server broke the WebSocket protocol, or sent a message larger or in more parts than is taken",
        "the connection was ended with the close code in the line; a new one is opened, and the gap found and repaired",
        "nothing, unless it repeats: then a proxy between here and the venue may be at fault",
    ),
    "feed-subscribe-failed": Code(
        "a venue refused a subscription, in its own words",
        "that symbol and channel is `refused` in /status; the others go on",
        "correct the symbol or channel, or wait where the words say so",
    ),
    "feed-bad-frame": Code(
        "a frame could not be understood",
        "it is counted and skipped; the stream goes on",
        "if it repeats, report it with the frame from the log: the venue may have changed its format",
    ),
    "feed-quarantined": Code(
        "a frame held an impossible value",
        "it is kept aside with its frame in quarantine.jsonl and never stored as data",
        "look at the frame in that file of the data directory",
    ),
    "feed-gap": Code(
        "trades are missing: the venue's numbering shows it, or a connection was down",
        "they are asked for over REST; `feed.gap_filled` says when they are here, until then they are `missing` in the ledger",
        "nothing; see market_gaps_total and the ledger",
    ),
    "feed-gap-unrecoverable": Code(
        "what was missing cannot be fetched any more",
        "the interval stays missing; the ledger has its cause",
        "nothing here; another venue or collector may have it",
    ),
    "feed-switched": Code(
        "a venue degraded or recovered, and the backup took over or handed back",
        "events of the symbols concerned carry the other provider's name from here on",
        "nothing; /status says why",
    ),
    "rest-refused": Code(
        "a venue declined REST requests (limit, ban or block)",
        "snapshots and repairs wait as long as the venue says; live data goes on",
        "lower `rest_share` if other programs use the same address",
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
    "nats-error": Code(
        "the NATS server cannot be reached, went away, does not let us in, or refuses what we do, in its own words",
        "what is for NATS waits, in memory and then on disk, trades and closed candles for certain; the rest goes on",
        "start or reach the server that the line names, or set NATS_URL; NATS_ENABLED=false where there is none",
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
    "nats-too-large": Code(
        "an event is larger than the NATS server takes in one message",
        "it is left out there and counted in events_dropped_total as too_large; other sinks have it",
        "raise `max_payload` of the server, or lower `book.depth`",
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
    "bus-dropped": Code(
        "a consumer is slower than what arrives",
        "what the line names was dropped, or conflated to its latest, for that consumer only; durable sinks lose no trade",
        "see events_dropped_total by consumer; give it more capacity or fewer channels",
    ),
    "stop-late": Code(
        "something did not finish within the time given to the shutdown",
        "it was let go; what it held is in its spill where it is durable",
        "see which one the line names",
    ),
    "api-open": Code(
        "the API is bound beyond loopback without a token",
        "everyone who reaches this port can read",
        "set MARKETD_API_TOKEN, or HTTP_HOST=127.0.0.1",
    ),
    "systemd-deaf": Code(
        "systemd asked to be told how the daemon does, and its socket takes nothing now",
        "none; systemd may think it hangs and start it anew, which is repaired as any restart",
        "see the reason; a unit needs Type=notify, and NotifyAccess=all where marketd is not its main process",
    ),
    "config-idle": Code(
        "a setting belongs to a part that is not in this version",
        "it is accepted and has no effect",
        "nothing, or remove it",
    ),
    "symbol-unlisted": Code(
        "no configured venue lists a symbol",
        "it is not collected",
        "see `marketd symbols --exchange NAME`",
    ),
    "venue-dry": Code(
        "a venue runs dry: it has no keys, or dry_run is set",
        "heartbeats only",
        "set its key, secret and DRY_RUN=false",
    ),
    "feed-stale": Code(
        "a symbol went silent for much longer than its own habit, though the connection lives",
        "it is `stale` in /status; what was missed is asked for over REST where the venue proves it",
        "nothing, unless many symbols do at once: then see the venue's status page",
    ),
    "feed-snapshot-failed": Code(
        "the snapshot that a book starts from could not be fetched",
        "that book stays out of sync and says nothing until the next try; trades and quotes go on",
        "see the reason; `marketd check` shows whether the venue's REST answers",
    ),
    "feed-instruments-failed": Code(
        "a venue's list of symbols could not be fetched",
        "that venue collects nothing until the next try; others go on",
        "see the reason; `marketd check` shows whether the venue's REST answers",
    ),
    "feed-fault": Code(
        "a mistake in marketd itself, met while reading or repairing",
        "that frame or repair is left out and counted; everything else goes on",
        "report it with the lines from the log",
    ),
    "feed-quarantine-failed": Code(
        "frames with impossible values could not be written to quarantine.jsonl",
        "they are kept out of the data all the same; only the copy for inspection is missing",
        "make room in the data directory; see the reason in the line",
    ),
    "feed-not-subscribed": Code(
        "a venue sent events that nobody asked for",
        "they are counted and left out",
        "nothing, unless it repeats: then report it with the frame from the log",
    ),
    "repair-failed": Code(
        "missing trades could not be fetched this time",
        "live data goes on; the interval stays `missing` and is asked for again",
        "see the reason",
    ),
    "failover-refused": Code(
        "the backup was not fit to take over (its price is too far off, or it has no data)",
        "the degraded venue stays in place",
        "look at both venues in /status",
    ),
    "discovery-failed": Code(
        "the ranking of coins could not be fetched, or is none",
        "the pairs in force stay: the last list, that of an earlier run, or the fallback pairs alone",
        "nothing, unless it lasts: then see the reason; a refused key or plan is COINGECKO_API_KEY or COINGECKO_PLAN",
    ),
    "discovery-not-kept": Code(
        "discovery.json in the data directory could not be read or written",
        "the pairs in force stay; a restart begins with the fallback pairs until the ranking is fetched",
        "see the reason; make room in the data directory",
    ),
    "archive-waiting": Code(
        "a venue or the archive's database does not answer now",
        "history waits; what was fetched is kept until it is stored",
        "nothing, unless it lasts: then see the reason",
    ),
    "archive-replaced": Code(
        "the archive's file was deleted or replaced while marketd had it open",
        "what it held is gone with it; it is opened or made anew, and history is fetched again",
        "stop marketd before you move its files",
    ),
    "candles-disagree": Code(
        "a candle that a venue streamed differs from the one built from its trades",
        "the venue's is stored; the comparison with REST corrects it if it was wrong",
        "nothing, unless it repeats: then see /gaps and the ledger of the trades",
    ),
    "archive-incomplete": Code(
        "a series could not be filled: a venue refused or its answers cannot be read",
        "the interval is `missing` in the ledger and in /gaps, with the cause",
        "see the reason; it is tried again by itself, less and less often",
    ),
    "timeframe-unknown": Code(
        "a venue does not have a timeframe that is configured for it",
        "no candles of that timeframe are archived from it; the others are",
        "name one of those that the line allows in `exchanges.<venue>.timeframes`",
    ),
    "source-malformed": Code(
        "a message of another producer is no event, however tolerantly it is read",
        "it is counted by reason in senpai_events_dropped_total and skipped; everything else goes on",
        "see the reason and the message in the line; correct that producer, or keep it off this subject",
    ),
    "source-lost": Code(
        "events from NATS did not reach us: the connection was away, or we were too slow and some were dropped",
        "the windows of the symbols concerned are touched by a gap, which quality says, and a `gap` alert is raised",
        "nothing for a short absence; if it repeats, use JetStream, which keeps events, or give features a machine of their own",
    ),
    "source-waiting": Code(
        "the events' stream or its consumer cannot be used",
        "no events come in; what JetStream keeps comes once it can",
        "do what the reason says",
    ),
    "partitions-lapsed": Code(
        "this member could not renew its lease in time: the process was paused, the machine overloaded, or NATS away",
        "others have its partitions, or it takes them again with their windows rebuilt; nothing is published after its end",
        "nothing, unless it repeats: then raise `features.lease_s`, or give the members more CPU",
    ),
    "partition-lost": Code(
        "another member took a partition while this one still read it",
        "nothing is lost: the other one goes on from what was last noted as done; a few features may have been published by both",
        "see that the members' clocks run alike, and that one bucket serves them all",
    ),
    "partition-unreadable": Code(
        "somebody else wrote into the bucket of the partitions: a key that is none of ours, a member without a time to live, or "
        "a claim that cannot be read",
        "a claim is taken as free and written anew, so its partition may be read from the beginning; other keys are ignored",
        "see key, value and what was expected in the line; keep that program out of the bucket",
    ),
    "partition-ahead": Code(
        "somebody else wrote into the bucket of the partitions: a claim is done up to a message that the stream does not have "
        "yet",
        "windows are rebuilt and what comes from now on is processed; of the messages before, nothing is published again",
        "keep that program out of the bucket",
    ),
    "features-alert": Code(
        "the data behind the features is late, has a gap, or comes faster than it is taken",
        "quality says so in what is published; nothing else changes",
        "see the kind and the detail; /status of the collector has the cause",
    ),
    "features-fault": Code(
        "an event was one that the features' engine has a mistake for, or something could not be made of a symbol",
        "it is skipped and counted as `fault` in senpai_events_dropped_total; quality says so, all else goes on",
        "report it with the line, which has the event",
    ),
    "features-not-published": Code(
        "NATS took no features, signals or alerts",
        "those messages are given up and counted in senpai_publish_errors_total; the API shows the features all the same",
        "see nats.error",
    ),
    "replay-answer-failed": Code(
        "a recorded REST answer could not be used",
        "what it would have repaired stays a gap in the replay",
        "see the reason",
    ),
    "capture-failed": Code(
        "the capture file could not be written fast enough or at all",
        "these records are missing in the capture; stores and sinks are not concerned",
        "make room, or capture to a faster disk",
    ),
    "stream-slow": Code(
        "a client of /ws did not read as fast as events came",
        "it was closed with 1013; it may come again and go on after its last position, and the others got everything",
        "nothing here; the client should ask for less, or for `max_hz`",
    ),
    "stream-restarted": Code(
        "events came faster than they could be handed to the clients of /ws, for seconds",
        "every client was told (1012) and begins anew in a new epoch; what came meanwhile is stored, but not in their streams",
        "give the daemon more processor, fewer clients or fewer symbols: --shard, or a process of its own for the API",
    ),
    "api-refused": Code(
        "a client of the API opened too many connections, sent a request too slowly, or sent what is no HTTP",
        "that connection got a 4xx or 503 and was closed; others are served",
        "see the client's address in the line and marketd_api_refused_total",
    ),
    "api-cut": Code(
        "the archive's database failed while a long answer was being sent",
        "that connection broke, so the client sees that the answer is not whole; nothing stored is concerned",
        "nothing, unless it repeats: then see the reason",
    ),
    "api-failed": Code(
        "the API could not answer a request: a mistake of ours",
        "that request got a 500; nothing else is concerned",
        "report it with the lines from the log",
    ),
    "redis-away": Code(
        "the Redis server does not answer, or does not let us in",
        "until `redis.back` trades wait, in memory and then on disk; the shared cache is not written, read or heard",
        "see the reason; `marketd check` tries the address",
    ),
    "message-log-failing": Code(
        "a stream of the message log takes no entries: its key holds something else, the user may not write it, memory is full",
        "the operations themselves go on; entries are missing in the log, counted in marketd_message_log_lost_total",
        "see the reason; `message_log.back` says when it works again and how many are missing",
    ),
    "cache-list-failed": Code(
        "the venue of the candle cache does not say what it lists, or lists none of the coins",
        "before the first answer nothing is polled; after it the markets known before stay in force",
        "see the reason: the venue's words, or the network's; it is asked again by itself",
    ),
    "cache-refresh-failed": Code(
        "the venue gave no answer for these symbols within a cycle, none that can be believed, or Redis took none",
        "their keys stay as they were until they expire; the other symbols are fresh",
        "nothing, unless it lasts: see the reason, and `cache` in /status; `cache.refreshed_again` says when it is over",
    ),
    "cache-late": Code(
        "the process stood still for longer than a cycle of the candle cache: suspended, paused, or without a processor",
        "cycles meanwhile are left out, and keys may have expired; the next cycle asks for every coin",
        "nothing, unless it comes again: then give the machine or the container more processor time",
    ),
    "cache-not-heard": Code(
        "the Redis server does not let us listen to channels, in its own words",
        "updates and signals do not reach the roles that wait for them; it is asked again until it agrees",
        "allow the user of REDIS_URL the channels `market:*`",
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
    "analysis-message": Code(
        "what came on an update channel of the candle cache is no update",
        "it is counted as `message` in marketd_analysis_skipped_total and skipped; the coins are read with the next one",
        "see who else publishes on that channel",
    ),
    "analysis-left-out": Code(
        "coins have no 500 closed candles without a hole in the candle cache",
        "they have no values and make no signals until they have; the other coins go on",
        "nothing for a new coin or one that just failed; else see the log of the cache's poller",
    ),
    "analysis-missed": Code(
        "candles closed while the technical analysis was away, or could not read the cache",
        "they are counted and not judged late: signals that they would have made were never published",
        "nothing, if the absence was known; a back-test over the span shows what they would have said",
    ),
    "analysis-reading": Code(
        "what an earlier run said of a coin cannot be read",
        "the signals of its newest candle are taken for published; the next candle is the first to be judged",
        "see who else writes `market:analysis:*`",
    ),
    "analysis-fault": Code(
        "a coin's candles were such that the analysis has a mistake for them",
        "that coin is skipped and counted as `fault` in marketd_analysis_skipped_total; the others go on",
        "report it with the line",
    ),
    "paper-message": Code(
        "what came on a channel that the paper trader hears is no signal or no update",
        "it is counted as `message` in marketd_paper_skipped_total and skipped",
        "see who else publishes on that channel",
    ),
    "paper-away": Code(
        "the paper trader cannot reach its books or the candle cache now",
        "nothing is booked meanwhile; levels are judged later by the candles that closed, signals only of the newest",
        "nothing, unless it lasts: then see the reason",
    ),
    "paper-missing": Code(
        "candles are missing while a symbol is held on paper",
        "whether its stop or take-profit was reached in them is not known; the candles after them decide",
        "nothing; see the log of the cache's poller for why",
    ),
    "paper-cash": Code(
        "paper.cash is not what the books began with",
        "the books go on with theirs",
        "set it back, or name another paper.book to begin anew",
    ),
    "paper-fault": Code(
        "the paper trader made a mistake",
        "what it was about to book was not booked; the books are read anew and it is tried again",
        "report it with the line",
    ),
}
