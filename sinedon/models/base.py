"""The base of all models."""

from __future__ import annotations

from django.db import models
from django.db.models.base import ModelBase

from sinedon.errors import ConfigurationError
from sinedon.fields import Timestamp
from sinedon.live import hasTable, isMissing


class RowBase(ModelBase):
    """Names each model's table after the model."""

    def __new__(mcs, name, bases, attrs, **kwargs):
        if "Meta" not in attrs:
            parent = next(base.Meta for base in bases if hasattr(base, "Meta"))
            attrs["Meta"] = type("Meta", (parent,), {"db_table": name, "abstract": False})
        return super().__new__(mcs, name, bases, attrs, **kwargs)


class RowManager(models.Manager):
    """Reads a table that the live database lacks as empty."""

    def get_queryset(self):
        from django.db import connections

        if self.db not in connections.settings:
            raise ConfigurationError(
                f"{self.model.__name__}: database '{self.db}' is not set up; call sinedon.setup(projectid) first"
            )
        rows = super().get_queryset()
        return rows if hasTable(self.model, self.db) else rows.none()

    def using(self, alias):
        """Read from another database of the same kind, such as another project's."""
        return self.db_manager(alias).get_queryset()


class Row(models.Model, metaclass=RowBase):
    """A row of any table: its id, and the server's local time of its last change."""

    def_id = models.AutoField(primary_key=True, db_column="DEF_id")
    def_timestamp = Timestamp("DEF_timestamp")

    objects = RowManager()

    class Meta:
        abstract = True
        managed = False
        base_manager_name = "objects"

    def _do_insert(self, manager, using, fields, returning_fields, raw):
        """Leave to the server what it fills, and out what the live table lacks."""
        table = self._meta.db_table
        fields = [f for f in fields if not isMissing(using, table, f.column)]
        if self.def_timestamp is None:
            fields = [f for f in fields if f.name != "def_timestamp"]
        return super()._do_insert(manager, using, fields, returning_fields, raw)

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.def_id}"
