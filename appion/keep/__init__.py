"""The keeper: starts the daemons of every session by itself, and looks after them."""
