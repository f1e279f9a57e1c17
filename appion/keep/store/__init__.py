"""What the keeper writes, in its own folder."""
