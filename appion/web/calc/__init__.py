"""What pages say of numbers: pure functions."""
