"""The pages about settings say what the code does."""

import os
import re
from pathlib import Path

from marketd.config import Config, Flags, load
from marketd.config.model import BUILT_ROLES, IDLE
from marketd.config.reference import config_page, env_example, metrics_page, operations_page
from marketd.config.sources import profile_names
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
    addresses_of_venues = {"idle": True, "venues": True, "cache": {"rest_url"}}
    named = loaded(None, without_profiles).model_dump(exclude=addresses_of_venues)
    plain = loaded().model_dump(exclude=addresses_of_venues)

    assert named == plain


def test_what_does_not_run_yet_is_marked() -> None:
    page = config_page()

    for name in profile_names():
        is_marked = bool(re.search(rf"^\| `{name}` \|.*not yet", page, re.MULTILINE))
        assert is_marked == bool(load(Flags(profile=name), {}, Path(os.devnull)).missing), name
    for key in Config.model_fields:
        section = Config.model_fields[key].alias or key
        found = re.search(rf"^## `{section}`\n(.*?)^\| key", page, re.MULTILINE | re.DOTALL)
        assert found is None or ("Not in this version" in found[1]) == (section in IDLE), section


def test_a_section_is_idle_as_long_as_no_role_that_reads_it_is_built() -> None:
    assert "daemon" not in IDLE if "archive" in BUILT_ROLES else "daemon" in IDLE
    assert IDLE <= {field.alias or name for name, field in Config.model_fields.items()}
