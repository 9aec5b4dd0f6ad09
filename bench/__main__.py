"""`make bench`: run every module of this directory that has a `run() -> list[Row]`, and print one table."""

import argparse
import datetime
import importlib
import json
import pkgutil
import platform
from pathlib import Path

from rich.console import Console

from bench.rounds import Row, as_data, not_measured, show

HERE = Path(__file__).parent
NOT_BENCHES = {"__main__", "rounds", "frames", "floors", "peer", "places", "processes", "crowd", "worker_of_cryptofeed"}


def bench_names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules([str(HERE)]) if module.name not in NOT_BENCHES)


def keep(rows: list[Row], directory: Path) -> Path:
    """Write the figures with day and machine, for comparison with later ones."""
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    directory.mkdir(exist_ok=True)
    path = directory / f"{day}-{platform.node() or 'unnamed'}.json"
    machine = {"machine": platform.machine(), "system": platform.platform(), "python": platform.python_version()}
    path.write_text(json.dumps({"day": day, **machine, "rows": as_data(rows)}, indent=2) + "\n")
    return path


def main() -> None:
    known = bench_names()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones; all by default: {', '.join(known) or 'none yet'}")
    parser.add_argument("--keep", action="store_true", help="also store the results in bench/results/")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.names) - set(known)):
        parser.error(f"no bench named {', '.join(unknown)}; there are: {', '.join(known) or 'none yet'}")

    console = Console()
    rows: list[Row] = []
    for name in asked.names or known:
        with console.status(f"{name} ..."):
            run = getattr(importlib.import_module(f"bench.{name}"), "run", None)
            rows += run() if run else [not_measured(name, "", "", "the module has no run()")]
    show(rows, console)
    if asked.keep:
        console.print(f"kept in {keep(rows, HERE / 'results')}")


if __name__ == "__main__":
    main()
