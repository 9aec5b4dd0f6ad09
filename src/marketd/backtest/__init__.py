"""The live analysis and the live paper trader over stored candles: one pure run, and the report of it."""
