"""Units as systemd reads them: sections, settings that may be given more than once, specifiers."""

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "deploy" / "systemd"
SYSTEM = sorted(UNITS.glob("*.service"))
USER = sorted((UNITS / "user").glob("*.service"))
INSTALLED = re.compile(r"(/opt/marketd/bin|%h/\.local/bin)/marketd\b")


class Unit:
    def __init__(self, path: Path, instance: str = "", home: Path = Path("/")) -> None:
        self.path, self.instance = path, instance
        self._specifiers = {"i": instance, "S": str(home / "lib"), "E": str(home / "etc"), "h": str(home / "home"), "%": "%"}
        self.sections: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        section = ""
        for line in path.read_text().splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif line and not line.startswith("#"):
                name, _, text = line.partition("=")
                self.sections[section][name].append(self.expanded(text))

    def expanded(self, text: str) -> str:
        return re.sub(r"%(.)", lambda found: self._specifiers[found[1]], text) if self.instance else text

    def all(self, name: str, section: str = "Service") -> list[str]:
        return self.sections[section][name]

    def one(self, name: str, section: str = "Service") -> str:
        (text,) = self.all(name, section)
        return text

    @property
    def environ(self) -> dict[str, str]:
        return dict(word.split("=", 1) for text in self.all("Environment") for word in text.split())
