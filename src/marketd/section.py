"""What a room's config section is: a frozen model that refuses keys it does not know."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """The root of every config section; a room defines its own beside its code, `config` gathers them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
