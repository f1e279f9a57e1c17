"""Running an external program so that it always ends, and whose fault it was when it failed."""
