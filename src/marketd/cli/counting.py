"""How many of a thing, in words."""


def counted(count: int, one: str, more: str | None = None) -> str:
    """`1 gap`, `1,000 gaps`."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"
