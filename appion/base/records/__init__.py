"""Plain values that several rooms share: what they hold, how they are encoded, where they lie in the run folder."""
