"""How the archive's schema came to be, step by step: run by `upgrade.py`, shipped with the package."""
