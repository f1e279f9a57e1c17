"""One package of models per database; a model is named after its table, a field after its classic key.

All are imported together, because a reference may point at a table of another database.
"""

from sinedon.models import appiondata, leginondata, projectdata

__all__ = ["appiondata", "leginondata", "projectdata"]
