"""Asks for reported security holes in what is locked: `python audit/ask.py`, as `make check` does; `make audit` adds `--must`.

Python packages are asked for with pip-audit, in an environment of its own, JavaScript packages with npm. Where one of them
cannot ask (no network, no tool, a mirror that knows no reports) this is said for each lock, and nothing fails, unless with
`--must`. A hole fails, shipped or not, until `allowed.toml` says why it may stay, and until when.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = Path(__file__).with_name("allowed.toml")
ENVIRONMENT = ROOT / ".venv-audit"
SHIPPED, BUILT_WITH = "shipped", "built or tested with"
PYTHON_LOCKS = ("requirements.lock", "requirements-dev.lock")
NPM_LOCKS = ("web/package-lock.json", "clients/typescript/package-lock.json")
WITHIN_S = 180


class Hole(NamedTuple):
    """A report about a package that is locked."""

    lock: str
    package: str
    version: str
    ids: frozenset[str]  # of one hole; different lists call it differently
    words: str
    use: str  # SHIPPED or BUILT_WITH

    def __str__(self) -> str:
        return f"{self.lock}: {self.package} {self.version} ({self.use}): {', '.join(sorted(self.ids))}: {self.words}"


class Allowed(NamedTuple):
    """A hole that may stay, since it does not concern us, until somebody looks again."""

    id: str
    package: str
    since: date
    until: date
    why: str


class NotAsked(Exception):
    """Why nobody could be asked."""


def main(words: Sequence[str]) -> int:
    if os.environ.get("AUDIT") == "off":
        say("NOT ASKED for reported holes: switched off by AUDIT=off")
        return 1 if "--must" in words else 0
    holes: list[Hole] = []
    unasked: list[str] = []
    for lock in (*PYTHON_LOCKS, *NPM_LOCKS):
        try:
            if lock in NPM_LOCKS:
                holes += ask_npm(lock)
            else:
                found, unknown = ask_python(lock)
                holes += found
                unasked += [f"{lock}: {unknown}"] if unknown else []
        except NotAsked as why:
            unasked.append(f"{lock}: {why}")
    wrong = judged(holes, read_allowed(), datetime.now(UTC).date())
    for line in wrong:
        say(f"REPORTED: {line}")
    for line in unasked:
        say(f"NOT ASKED for reported holes in {line}")
    asked = len(PYTHON_LOCKS) + len(NPM_LOCKS) - len(unasked)
    say(f"reported holes: {len(wrong)} that count, {asked} of {len(PYTHON_LOCKS) + len(NPM_LOCKS)} locks asked about")
    return 1 if wrong or (unasked and "--must" in words) else 0


def judged(holes: Iterable[Hole], allowed: Sequence[Allowed], today: date) -> list[str]:
    """What fails: holes that nothing allows, and allowances whose day is over."""
    standing = {one.id: one for one in allowed if today <= one.until}
    wrong = [f"allowed.toml: {one.id} of {one.package} was allowed until {one.until}" for one in allowed if today > one.until]
    seen: set[tuple[str, frozenset[str]]] = set()
    for hole in holes:
        if any(id in standing and standing[id].package == hole.package for id in hole.ids):
            continue
        if (hole.package, hole.ids) not in seen:  # the lock for developers holds that for users
            wrong.append(str(hole))
        seen.add((hole.package, hole.ids))
    return wrong


def read_allowed(path: Path = ALLOWED) -> list[Allowed]:
    """Raises KeyError for an entry without its days or its reason."""
    entries = tomllib.loads(path.read_text()).get("allowed", [])
    return [Allowed(one["id"], one["package"], one["since"], one["until"], one["why"]) for one in entries]


# -- Python ---------------------------------------------------------------------------------------------------------------


def ask_python(lock: str) -> tuple[list[Hole], str]:
    """Also of what nothing is known, in words."""
    words = ["--format", "json", "--progress-spinner", "off", "--disable-pip", "--require-hashes", "--requirement", lock]
    said = run([str(pip_audit()), *words])
    try:
        report = json.loads(said.stdout)
    except ValueError:
        raise NotAsked(last_line(said.stderr)) from None
    return python_holes(lock, report, (ROOT / PYTHON_LOCKS[0]).read_text()), unknown_of(report)


def python_holes(lock: str, report: dict[str, Any], shipped: str) -> list[Hole]:
    return [
        Hole(
            lock,
            one["name"],
            one["version"],
            frozenset({its["id"], *its.get("aliases", ())}),
            fixes(its.get("fix_versions")),
            use,
        )
        for one in report["dependencies"]
        if "vulns" in one
        for use in [SHIPPED if f"\n{one['name']}==" in f"\n{shipped}" else BUILT_WITH]
        for its in one["vulns"]
    ]


def unknown_of(report: dict[str, Any]) -> str:
    """A package that was left out is not sound; a mirror without reports leaves out all."""
    skipped = [one["name"] for one in report["dependencies"] if "skip_reason" in one]
    more = f" and {len(skipped) - 3:,} more" if len(skipped) > 3 else ""
    return f"who was asked knows nothing of {', '.join(skipped[:3])}{more}" if skipped else ""


def fixes(versions: list[str] | None) -> str:
    return f"fixed in {', '.join(versions)}" if versions else "no version without it yet"


def pip_audit() -> Path:
    """The program, in an environment of its own, made if need be."""
    program = ENVIRONMENT / "bin" / "pip-audit"
    if not program.exists():
        run([sys.executable, "-m", "venv", str(ENVIRONMENT)])
        said = run([str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet", "--retries", "1", "pip-audit"])
        if not program.exists():
            raise NotAsked(f"pip-audit could not be installed: {last_line(said.stderr)}")
    return program


# -- JavaScript -----------------------------------------------------------------------------------------------------------


def ask_npm(lock: str) -> list[Hole]:
    """npm asks by name and version, so a lock without addresses will do; it needs no packages either."""
    npm = shutil.which("npm")
    if npm is None:
        raise NotAsked("there is no npm here")
    said = run([npm, "audit", "--package-lock-only", "--json", "--fetch-retries=1"], ROOT / Path(lock).parent)
    try:
        report = json.loads(said.stdout)
    except ValueError:
        raise NotAsked(last_line(said.stderr)) from None
    if "auditReportVersion" not in report:
        raise NotAsked(str(report.get("message") or report.get("error") or "npm gave no report").partition(" - ")[0])
    return npm_holes(lock, report, json.loads((ROOT / lock).read_text()))


def npm_holes(lock: str, report: dict[str, Any], locked: dict[str, Any]) -> list[Hole]:
    """A package that only has the hole of another is not told of twice."""
    found = []
    for name, one in report["vulnerabilities"].items():
        own = [via for via in one["via"] if isinstance(via, dict)]
        for node in one["nodes"]:
            package = locked["packages"][node]
            use = BUILT_WITH if package.get("dev") or lock != NPM_LOCKS[0] else SHIPPED
            for via in own:
                ids = frozenset({via["url"].rpartition("/")[2]})
                found.append(Hole(lock, name, package["version"], ids, f"{via['severity']}: {via['title']}", use))
    return found


# -------------------------------------------------------------------------------------------------------------------------


def run(words: Sequence[str], directory: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Raises NotAsked for what does not end."""
    try:
        return subprocess.run(
            words, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotAsked(f"{Path(words[0]).name}: {type(error).__name__}") from None


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "no answer"


def say(words: str) -> None:
    print(f"audit: {words}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
