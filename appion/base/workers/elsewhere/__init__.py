"""Workers of a Dask scheduler that is there already and that others start and end."""
