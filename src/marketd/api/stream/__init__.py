"""`WS /ws`: live events, snapshot first, to many clients from one log (docs/streaming.md, docs/decisions/packed-stream.md).

    bus ── batch ──> hub ── channel.take: encoded once ──> in step: the flush's bytes, joined or packed ──> socket ──> client
                      │                                    behind: from the channel's log, by a cursor
    client ── frame ──> socket ── message ──> client: subscribe, unsubscribe, ping ──> names: what is meant, or which key is wrong

All of it runs in the loop's own callbacks. Between two of them every subscription that is in step has all its channel has, so a
snapshot and what follows it meet without a seam.
"""
