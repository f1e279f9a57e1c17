"""Base of the Appion models."""

from sinedon.models.base import Row


class AppionRow(Row):
    """A row of a project's Appion database."""

    class Meta(Row.Meta):
        abstract = True
        app_label = "appiondata"
