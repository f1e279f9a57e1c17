"""The keeper of sessions."""
