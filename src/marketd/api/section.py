"""The config section `api`."""

from pydantic import Field

from marketd.secrets import Secret
from marketd.section import Section


class ApiConfig(Section):
    """Where the HTTP API listens, and who may ask."""

    enabled: bool = Field(True, description="serve the API")
    host: str = Field("127.0.0.1", min_length=1, description="address it is bound to")
    port: int = Field(8100, ge=0, le=65535, description="port; 0 takes a free one; the variable HTTP_PORT sets it")
    cors_origins: tuple[str, ...] = Field(
        (), description="web pages that may read it, as https://host; default localhost and 127.0.0.1 on any port"
    )
    token: Secret | None = Field(
        None, description="asked for on every request but /health and /metrics; from the environment only"
    )
