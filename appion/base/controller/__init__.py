"""One run while it lasts: way in, way out, the state of every exposure, what is told about it."""
