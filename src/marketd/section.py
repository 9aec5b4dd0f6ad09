"""What every room's own part of the configuration is built on."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Settings of one room: frozen, and an unknown key is an error. The field descriptions become docs/config.md."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
