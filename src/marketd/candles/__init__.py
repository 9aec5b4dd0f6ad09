"""Candles as they form: built from trades, written as they arrive, checked after they close."""
