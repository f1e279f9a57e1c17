"""What the keeper decides, as pure functions."""
