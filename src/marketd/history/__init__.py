"""Candles of the past: what is missing, how it is fetched, and how it is proven."""
