"""The section `api`: what is safe by default, and what is no setting of it."""

import pytest
from pydantic import ValidationError

from marketd.api.section import ApiConfig


def test_by_default_only_this_machine_reaches_it_and_no_web_page_from_elsewhere() -> None:
    config = ApiConfig()

    assert (config.host, config.port, config.cors_origins, config.token) == ("127.0.0.1", 8100, (), None)


@pytest.mark.parametrize(
    "wrong", [{"port": -1}, {"port": 65_536}, {"port": "http"}, {"host": ""}, {"cors_origins": 1}, {"prot": 8100}]
)
def test_what_cannot_be_is_refused_by_its_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        ApiConfig.model_validate(wrong)

    assert {error["loc"][0] for error in refused.value.errors()} == set(wrong)


def test_the_token_is_never_shown() -> None:
    config = ApiConfig.model_validate({"token": "tell-nobody"})

    assert "tell-nobody" not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"
    assert config.token is not None
    assert config.token.get_secret_value() == "tell-nobody"
