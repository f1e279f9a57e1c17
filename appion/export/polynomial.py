"""RELION's model of local motion, fitted to the field that motioncor-cpu found.

For frame z, counted from the first that was used, and a place (u, v) from -0.5 to 0.5 across the movie the displacement
along each axis is the sum of 18 products: {z, z², z³} times {1, u, u², v, v², uv}, all powers of time of one place
after another (`ThirdOrderPolynomialModel` in `micrograph_model.cpp`). It is added to the shift of the whole frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from appion.motioncorrection.calc.internal.field import Field, calcPolynomials, selectOrders

#: Places across the movie, each way, at which both are compared.
GRID = 9


@dataclass(frozen=True)
class Polynomial:
    """Coefficients (2, 18) of x and y, and by how much it misses the field: RMS and largest, pixels."""

    coefficients: np.ndarray
    rms: float
    largest: float


def fitField(patches: list[list[tuple[float, ...]]]) -> Field | None:
    """Return the field whose values at the centres of patches a log has; None if there is none, or it is 0.

    The values determine it: its polynomials are of an order below the number of patches each way.

    Args:
        patches: for each, for each frame, (centre x, centre y, shift x, shift y) in pixels.
    """
    if not patches or len({len(rows) for rows in patches}) != 1:
        return None
    table = np.array(patches, float)
    centres, shifts = table[:, 0, :2], table[:, :, 2:]
    if not np.isfinite(table).all() or not shifts.any():
        return None
    counts = [len(np.unique(centres[:, axis])) for axis in (0, 1)]
    places = [centres[:, axis] / (centres[:, axis].min() * count) - 1 for axis, count in enumerate(counts)]
    orders = selectOrders((counts[0], counts[1]))
    x, y = (calcPolynomials(place) for place in places)
    modes = np.stack([x[:, a] * y[:, b] for a, b in orders], axis=1)
    found = np.linalg.lstsq(modes, shifts.reshape(len(modes), -1), rcond=None)[0]
    return Field(orders, np.moveaxis(found.reshape(len(orders), -1, 2), 0, -1))


def fitPolynomial(field: Field, upside_down: bool = False) -> Polynomial:
    """Return RELION's model that comes closest to a field, over all its frames and a grid of places.

    Both are 0 in the first frame. `upside_down`: RELION sees the rows of the movie in the other order.
    """
    at = np.linspace(-1, 1, GRID)
    frames = range(len(field.coefficients))
    moved = np.array([field.calcDisplacements(frame, at, at) for frame in frames], float)
    moved -= moved[0]
    if upside_down:
        moved = moved[:, :, ::-1] * np.array([1, -1])[:, None, None]
    v, u = np.meshgrid(at / 2, at / 2, indexing="ij")
    places = np.stack([np.ones_like(u), u, u**2, v, v**2, u * v], axis=-1).reshape(-1, 6)
    last = max(len(moved) - 1, 1)
    z = np.arange(len(moved)) / last
    times = np.stack([z, z**2, z**3], axis=-1)
    model = np.einsum("pa,fb->fpab", places, times).reshape(-1, 18)
    values = np.moveaxis(moved, 1, -1).reshape(-1, 2)
    found = np.linalg.lstsq(model, values, rcond=None)[0]
    missed = np.hypot(*(model @ found - values).T)
    scale = np.tile(float(last) ** -np.array([1, 2, 3]), 6)
    return Polynomial((found * scale[:, None]).T, float(np.sqrt((missed**2).mean())), float(missed.max()))
