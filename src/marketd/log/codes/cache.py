"""Warnings of the candle cache, the message log, the analysis and the paper trader."""

from marketd.log.code import Code

CODES = {
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
