"""The files in which a site keeps its settings."""
