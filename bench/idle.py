"""What a daemon costs when nothing happens, and how long it takes to its first event: many quiet symbols, one simulated venue."""

import tempfile
import time
from pathlib import Path

from bench.processes import served, simulated
from bench.rounds import Row, absolute

SYMBOLS = tuple(f"{base}USDT" for base in (f"Q{first}{second}" for first in "ABCDEFGHIJKLMN" for second in "ABCDEFGHIJKLMNO"))[
    :200
]
CHANNELS = ("trade", "quote")  # a simulated book never rests
SETTLE_S, SECONDS = 5.0, 10.0
CPU_MAX, RSS_MAX, START_S_MAX = 0.02, 120 << 20, 1.0


def run() -> list[Row]:
    return [_idle(), _start()]


def _idle() -> Row:
    with (
        tempfile.TemporaryDirectory(prefix="marketd-bench-") as name,
        simulated(SYMBOLS) as venue,
        served(venue.env(), SYMBOLS, Path(name), CHANNELS) as daemon,
    ):
        time.sleep(SETTLE_S)
        before, began_s = daemon.look(), time.monotonic()
        time.sleep(SECONDS)
        after = daemon.look()
        share = (after.cpu_s - before.cpu_s) / (time.monotonic() - began_s)
        return absolute(
            f"idle: {len(SYMBOLS)} quiet symbols, {len(CHANNELS)} channels",
            f"{share:.1%} of a core, {after.rss / (1 << 20):.0f} MiB",
            f"< {CPU_MAX:.0%} of a core, < {RSS_MAX >> 20} MiB",
            reached=share < CPU_MAX and after.rss < RSS_MAX,
        )


def _start() -> Row:
    """From the start of the process, imports included, to the first event in a sink; the venue has some to send."""
    with tempfile.TemporaryDirectory(prefix="marketd-bench-") as name, simulated(("BTCUSDT",)) as venue:
        environ, began_s = venue.env(), time.monotonic()
        with served(environ, ("BTCUSDT",), Path(name)) as daemon:
            whole_s, started_s = time.monotonic() - began_s, daemon.look().started_s
        return absolute(
            "start of the daemon to the first event delivered",
            f"{started_s:.2f} s",
            f"< {START_S_MAX:g} s",
            reached=started_s < START_S_MAX,
            note=f"{whole_s:.2f} s with the interpreter and its imports",
        )
