"""Every code that a line carries is explained, in the code and in docs/operations.md."""

import re
from pathlib import Path

from marketd.log import CODES

ROOT = Path(__file__).resolve().parents[2]
USED = re.compile(r"""\bcode=["']([a-z0-9-]+)["']""")


def test_every_code_in_use_is_explained() -> None:
    used = {code for path in (ROOT / "src").rglob("*.py") for code in USED.findall(path.read_text())}

    assert used <= set(CODES), f"add to src/marketd/log/codes.py: {sorted(used - set(CODES))}"


def test_every_code_is_in_the_operations_page() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()

    assert [code for code in CODES if f"`{code}`" not in page] == []
