"""Warnings of the venues' feeds, their repair and failover, and of the list of pairs."""

from marketd.log.code import Code

CODES = {
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
}
