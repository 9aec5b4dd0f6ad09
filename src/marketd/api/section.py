"""The config section `api`."""

from pydantic import Field

from marketd.secrets import Secret
from marketd.section import Section


class StreamConfig(Section):
    """Live events on `/ws`: how many clients, and how much waits for those that are slow."""

    clients: int = Field(1000, ge=1, description="at once; further ones are refused with 503")
    channels: int = Field(1000, ge=1, description="that one client may subscribe to")
    queue: int = Field(
        10_000, ge=1, description="trades, closed candles, gaps and states that may wait for a client; beyond, it is closed"
    )
    held: int = Field(10_000, ge=1, description="of these, in each channel: what a client can go on from after a break")
    held_mib: int = Field(64, ge=1, description="all channels together; the largest give way")
    pace_ms: float = Field(5, ge=0, le=1000, description="at least between two deliveries; the first after a pause goes at once")
    deflate: bool = Field(True, description="pack messages (permessage-deflate) for clients that offer it")
    ping_s: float = Field(20, gt=0, description="silence after which a client is pinged; after twice that it is closed")


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
    stream: StreamConfig = StreamConfig()
