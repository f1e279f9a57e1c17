"""Which database a model belongs to: the one named after its app label."""


class Router:
    """Sends every model to the database of its app label. Relations may cross databases, joins may not."""

    def db_for_read(self, model, **hints):  # noqa: ARG002
        return model._meta.app_label

    def db_for_write(self, model, **hints):  # noqa: ARG002
        return model._meta.app_label

    def allow_relation(self, *rows, **hints):  # noqa: ARG002
        return True

    def allow_migrate(self, db, app_label, **hints):  # noqa: ARG002
        return False
