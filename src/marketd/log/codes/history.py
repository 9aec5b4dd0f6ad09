"""Warnings of the candle archive and of replays."""

from marketd.log.code import Code

CODES = {
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
    "replay-answer-failed": Code(
        "a recorded REST answer could not be used",
        "what it would have repaired stays a gap in the replay",
        "see the reason",
    ),
}
