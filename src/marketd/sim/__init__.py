"""Simulated venues: the venues' own protocols on loopback, over a seeded market or recorded frames, with faults by name."""

from marketd.sim.faults import FAULTS, Fault, parse_faults
from marketd.sim.server import PORT, SIM_VENUES, Flood, Jumps, Sim, open_sim
from marketd.sim.symbols import invented, several

__all__ = ["FAULTS", "PORT", "SIM_VENUES", "Fault", "Flood", "Jumps", "Sim", "invented", "open_sim", "parse_faults", "several"]
