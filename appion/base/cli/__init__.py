"""What every classic command does between its command line and the loop."""
