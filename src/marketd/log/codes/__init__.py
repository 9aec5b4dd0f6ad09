"""The codes of warnings and errors by topic, as `docs/operations.md` lists them."""

from marketd.log.code import Code
from marketd.log.codes import cache, delivery, features, feeds, history, program

__all__ = ["CODES"]

TOPICS = (feeds, delivery, history, features, cache, program)
CODES: dict[str, Code] = {name: code for topic in TOPICS for name, code in topic.CODES.items()}
