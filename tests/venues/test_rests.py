"""The REST sides of a daemon's venues."""

from marketd.clock import ManualClock
from marketd.metrics import Metrics
from marketd.net.governor import FULL, Priority
from marketd.sim import open_sim
from marketd.venues.binance import Binance
from marketd.venues.bitfinex import Bitfinex
from marketd.venues.rests import open_rests
from marketd.venues.section import VenueConfig


async def test_each_venue_is_asked_where_the_config_says_with_its_share_of_the_limit(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim:
        configs = {"binance": VenueConfig(rest_url=sim.env()["BINANCE_REST_URL"], rest_share=0.5), "bitfinex": VenueConfig()}
        venues = {"binance": Binance({}), "bitfinex": Bitfinex()}
        async with open_rests(venues, configs, clock, Metrics()) as rests:
            answer = await rests["binance"].ask(venues["binance"].instruments_request(), Priority.LIVE)

            assert 200 == answer.status
            assert Bitfinex.rest_url == rests["bitfinex"].base
            assert rests["binance"].governor is not rests["bitfinex"].governor
            assert 2 * 20 / (6000 * FULL) == rests["binance"].governor.used_ratio()
