"""What is computed from events: rolling features, the signals and alerts made of them."""
