"""Which images people have hidden in Leginon's viewer."""

from __future__ import annotations

from appion.base.retrieve.rejects import HIDDEN
from sinedon.models import leginondata


class Hidden:
    """Images that are hidden or trash by their newest row, whatever its session.

    Attributes:
        images: their ids.
    """

    def __init__(self) -> None:
        self.images: set[int] = set()

    def update(self, limits: tuple[int, int]) -> set[int]:
        """Read the rows of images with ids within the limits, by one query; return those that were judged anew.

        All of them: the viewer may change a row instead of adding one.
        """
        rows = leginondata.ViewerImageStatus.objects.filter(image_id__gte=limits[0], image_id__lte=limits[1])
        newest = dict(rows.order_by("def_id").values_list("image_id", "status"))
        before, self.images = self.images, {image for image, status in newest.items() if status in HIDDEN}
        return before ^ self.images
