"""The pages about settings say what the code does."""

import re
from pathlib import Path

from marketd.config.reference import config_page, env_example, metrics_page, operations_page
from marketd.config.variables import VARIABLES
from tests.config.conftest import Load

ROOT = Path(__file__).resolve().parents[2]
STALE = "run: python -m marketd.config.reference"


def test_the_page_of_settings_is_current() -> None:
    assert (ROOT / "docs" / "config.md").read_text() == config_page(), STALE


def test_the_page_of_metrics_is_current() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == metrics_page(), STALE


def test_the_table_of_codes_is_current() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()

    assert page == operations_page(page), STALE


def test_the_example_of_variables_is_current() -> None:
    assert (ROOT / ".env.example").read_text() == env_example(), STALE


def variables_of_the_example() -> dict[str, str]:
    return dict(re.findall(r"^#([A-Z0-9_]+)=(.*)$", env_example(), re.MULTILINE))


def test_the_example_holds_every_variable() -> None:
    assert {one.name for one in VARIABLES} <= set(variables_of_the_example())


def test_its_values_are_the_defaults(loaded: Load) -> None:
    example = variables_of_the_example()
    without_profiles = {name: text for name, text in example.items() if name not in {"HEALTH_PORT"}}
    addresses_of_venues = {"venues": True, "cache": {"rest_url"}}
    named = loaded(None, without_profiles).model_dump(exclude=addresses_of_venues)
    plain = loaded().model_dump(exclude=addresses_of_venues)

    assert named == plain
