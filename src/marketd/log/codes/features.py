"""Warnings of the features, their sources and partitions."""

from marketd.log.code import Code

CODES = {
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
}
