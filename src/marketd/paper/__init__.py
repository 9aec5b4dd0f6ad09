"""Paper trading: an account that exists in our books only. Nothing here can send an order to a venue."""
