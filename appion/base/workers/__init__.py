"""Where workers come from, and what runs on them. Imported without Django."""
