"""`appion demo`: a simulated microscope with the daemons beside it."""
