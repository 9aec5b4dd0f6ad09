"""The settings of the message log."""

from typing import Literal

from pydantic import Field

from marketd.model.message_log import MAXLEN, MIRROR
from marketd.section import Section


class MessageLogConfig(Section):
    """The log of what goes through the shared cache."""

    enabled: bool = Field(True, description="write it, where a role uses the cache")
    maxlen: int = Field(MAXLEN, ge=1, description="entries kept, approximately")
    mirror: Literal["market:log"] | None = Field(
        None, description=f"a stream that gets the same entries: `{MIRROR}`, which the profile candle-cache sets"
    )
