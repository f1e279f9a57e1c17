"""One package of models per database; a model is named after its table, a field after its classic key."""
