"""No credential is in a file of the repository, by the shapes that credentials have. Needs no network: part of the gate."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.test_shape import ROOT, tracked_files

# Each shape is put together here, so that this file does not hold what it looks for.
SHAPES = {
    "private key": "-----BEGIN " + r"(?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/]{20}",
    "cloud key": r"\b(?:AKIA|ASIA)" + r"[0-9A-Z]{16}\b",
    "forge token": r"\b(?:gh[pousr]_|github_pat_|glpat-)" + r"[A-Za-z0-9_]{20,}",
    "chat token": r"\bxox[abprs]-" + r"[A-Za-z0-9-]{10,}",
    "broker key": r"\b(?:PK|AK)" + r"(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z])[A-Z0-9]{18}\b",
    "registry token": r"\b(?:npm_[A-Za-z0-9]{36}\b|pypi-" + r"AgE[A-Za-z0-9_-]{50,})",
    "service key": r"\b(?:AIza[0-9A-Za-z_-]{35}|[sr]k_live_" + r"[0-9A-Za-z]{16,})",
    "password in an address": r"\b[a-z][a-z0-9+]*://[^\s:/@\"']+:" + r"(?=[^\s/@]*\d)(?=[^\s/@]*[A-Za-z])[A-Za-z0-9%+/=_-]{16,}@",
    "signed token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ" + r"[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "assignment": r"(?i:\b[a-z_]*(?:secret|token|password|api_key)\b)[\"']?\s*[:=]\s*[\"']?"
    + r"(?=[A-Za-z0-9+/]*\d)(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*[A-Z])[A-Za-z0-9+/]{32,}",
}
FOUND_BY = {
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "M" * 30,
    "cloud key": "AKIA" + "A1B2C3D4" * 2,
    "forge token": "ghp_" + "a1" * 18,
    "chat token": "xoxb-" + "1234567890-abc",
    "broker key": "PK" + "A1B2C3D4E5F6G7H8J9",
    "registry token": "npm_" + "a1B2" * 9,
    "service key": "sk_live_" + "a1B2" * 5,
    "password in an address": "redis://me:" + "a1B2" * 4 + "@host",
    "signed token": ".".join(["eyJ" + "a" * 12, "eyJ" + "b" * 12, "c" * 12]),
    "assignment": "API_TOKEN=" + "aB3" * 12,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_no_file_holds_a_credential(shape: str) -> None:
    pattern = re.compile(SHAPES[shape])
    found = [
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, hit.start()) + 1}"
        for path in files()
        for text in [path.read_text(errors="replace")]
        for hit in pattern.finditer(text)
    ]

    assert found == [], f"if one of these was ever pushed, it is to be revoked, not only removed: {found}"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_credential_would_be_found(shape: str) -> None:
    assert re.search(SHAPES[shape], FOUND_BY[shape])


def test_files_for_secrets_are_ignored_by_git_and_by_the_image() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()

    assert {".env", "/api-token"} <= set(ignored)
    assert "**/.env" in (ROOT / ".dockerignore").read_text().splitlines()
    assert [path.name for path in tracked_files() if path.name in {".env", "api-token"}] == []


def files() -> list[Path]:
    """Those of the repository, and those that the next commit may take."""
    words = ["git", "ls-files", "-z", "--others", "--exclude-standard"]
    others = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stdout.split("\0")
    return [*tracked_files(), *(ROOT / name for name in others if name and (ROOT / name).is_file())]
