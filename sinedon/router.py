"""Which database a model belongs to: the one named after its app label."""


def chooseDatabase(model, instance=None):
    """Return that of the model; of what a row refers to within its own database, the one that the row is from."""
    label = model._meta.app_label
    if instance is not None and instance._meta.app_label == label:
        return instance._state.db or label
    return label


class Router:
    """Sends every model to the database of its app label. Relations may cross databases, joins may not."""

    def db_for_read(self, model, **hints):
        return chooseDatabase(model, hints.get("instance"))

    def db_for_write(self, model, **hints):
        return chooseDatabase(model, hints.get("instance"))

    def allow_relation(self, *rows, **hints):  # noqa: ARG002
        return True

    def allow_migrate(self, db, app_label, **hints):  # noqa: ARG002
        return False
