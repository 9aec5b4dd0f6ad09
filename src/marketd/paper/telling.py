"""One line for a person for each decision of the paper trader, and its entry in the message log."""

from marketd.model.exact import plain
from marketd.model.paper import Fill, Order
from marketd.stores.cache import Note

AT_FAULT = frozenset({"stale", "doubtful", "no_price", "other_venue"})  # refusals that the data are the reason of
WHY = {"entry": "opens", "stop": "stop", "take_profit": "take-profit", "signal": "closes"}


def line_of(order: Order, fill: Fill | None) -> str:
    """What was decided, in one line that says that it is on paper."""
    if fill is None:
        word = "buy" if order.side == "buy" else "sell"
        return f"paper: did not {word} {order.symbol}, {order.refusal}: {order.detail}"
    word = "bought" if fill.side == "buy" else "sold"
    levels = [f"stop {plain(fill.stop)}"] if fill.stop is not None else []
    levels += [f"take-profit {plain(fill.take_profit)}"] if fill.take_profit is not None else []
    head = f"paper: {word} {plain(fill.size)} {fill.symbol} at {plain(fill.price)}"
    figures = ", ".join((f"fee {plain(fill.fee)}", *levels))  # before the reasons, which may be cut where a line has an end
    return f"{head}, {figures} ({WHY[fill.why]}{': ' if order.detail else ''}{order.detail})"


def note_of(order: Order, fill: Fill | None) -> Note:
    return Note("error" if order.refusal in AT_FAULT else "trade", f"paper:{order.symbol}", line_of(order, fill))
