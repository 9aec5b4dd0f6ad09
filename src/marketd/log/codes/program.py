"""Warnings of the program itself and of its API."""

from marketd.log.code import Code

CODES = {
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
}
