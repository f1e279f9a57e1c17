"""Reading what pages show: rows, run folders, pictures."""
