"""What the keeper reads: sessions, runs of others, locks and processes."""
