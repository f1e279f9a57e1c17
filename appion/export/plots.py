"""The plots of a report, by Plotly: each is a piece of HTML that needs nothing from the network."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from appion.base.records.series import COLUMNS, STEPS

#: Columns of the steps of other packages.
FURTHER = tuple(column.name for step in STEPS for column in step.columns)

#: Numbers whose way through the session is shown, one below the other, and those of which there is a histogram.
TRENDS = ("drift", "ctf_resolution", "confidence", "defocus", "astigmatism", "ice_ring", *FURTHER,
          "seconds_to_result")
HISTOGRAMS = ("drift", "drift_early", "drift_jump", "ctf_resolution", "resolution_50", "confidence", "defocus",
              "defocus_error", "astigmatism", "ice_ring", "dose", "counts", *FURTHER)

#: Bars of a histogram.
BINS = 30

#: From so many points on they are drawn by the graphics processor.
MANY = 2000

COLOUR, MEDIAN, GREY, GRID = "#3b7dd8", "#d9822b", "#7d8590", "rgba(125,133,144,0.25)"
CONFIG = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["lasso2d", "select2d"]}

Line = Mapping[str, Any]


def readLibrary() -> str:
    """Return Plotly's JavaScript as its package has it."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def drawTrends(lines: Sequence[Line]) -> str:
    """Return the plot of numbers over time, with each one's median; empty if there are none. They zoom together."""
    from plotly.graph_objects import Scatter, Scattergl
    from plotly.subplots import make_subplots

    names = [name for name in TRENDS if sum(name in line and "exposed" in line for line in lines) > 1]
    if not names:
        return ""
    titles = [describeColumn(name) for name in names]
    figure = make_subplots(len(names), 1, shared_xaxes=True, vertical_spacing=0.035, subplot_titles=titles)
    shared = countShared([str(line.get("name", "")) for line in lines])
    trace = Scattergl if len(lines) > MANY else Scatter
    few = len(lines) < MANY
    marker = {"size": 6 if few else 3, "color": COLOUR, "opacity": 0.7 if few else 0.4}
    for row, name in enumerate(names, 1):
        known = [line for line in lines if name in line and "exposed" in line]
        values = np.array([line[name] for line in known], np.float32)
        times = np.array([calcLocalTime(line["exposed"]) for line in known])
        labels = [escape(str(line.get("name", ""))[shared:]) for line in known]
        unit, digits = COLUMNS[name].unit, COLUMNS[name].digits or 0
        figure.add_trace(trace(
            x=times, y=values, text=labels, mode="markers", marker=marker,
            hovertemplate=f"%{{text}}<br>%{{x}}<br>%{{y:.{digits}f}} {unit}<extra></extra>",
        ), row, 1)  # fmt: skip
        figure.add_hline(float(np.median(values)), row=row, col=1, line={"color": MEDIAN, "width": 1.5, "dash": "dot"})
    figure.update_xaxes(type="date")
    figure.update_annotations(font={"size": 13, "color": GREY}, xanchor="left", x=0)
    return finish(figure, 70 + 150 * len(names), {"l": 48, "r": 8, "t": 28, "b": 36})


def countShared(names: Sequence[str]) -> int:
    """Return how many letters all names begin with alike; they would only be in the way."""
    first, last = min(names, default=""), max(names, default="")
    return next((place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), 0)


def drawHistograms(lines: Sequence[Line]) -> list[dict[str, str]]:
    """Return title and plot of the histogram of each number that enough exposures have."""
    from plotly.graph_objects import Bar, Figure

    found = []
    for name in HISTOGRAMS:
        values = np.array([line[name] for line in lines if name in line], float)
        if len(values) < 2 or values.min() == values.max():
            continue
        counts, edges = np.histogram(values, BINS, calcRange(values))
        digits, unit = COLUMNS[name].digits or 0, COLUMNS[name].unit
        between = [f"{low:.{digits}f} to {high:.{digits}f} {unit}" for low, high in pairwise(edges)]
        figure = Figure(Bar(
            x=(edges[1:] + edges[:-1]) / 2, y=counts, text=between, textposition="none", marker={"color": COLOUR},
            hovertemplate="%{text}<br>%{y} exposures<extra></extra>",
        ))  # fmt: skip
        figure.add_vline(float(np.median(values)), line={"color": MEDIAN, "width": 1.5, "dash": "dot"})
        found.append({"title": describeColumn(name), "plot": finish(figure, 190, {"l": 36, "r": 8, "t": 8, "b": 28})})
    return found


def calcRange(values: np.ndarray) -> tuple[float, float]:
    """Return from where to where a histogram goes: all values, but for the farthest hundredth where that is far off."""
    low, high = np.percentile(values, (0.5, 99.5))
    reach = high - low
    return max(values.min(), low - reach / 2), min(values.max(), high + reach / 2)


def calcLocalTime(seconds: float) -> float:
    """Return a Unix time as Plotly takes it to show the local time: ms of a clock that knows no zones."""
    return (seconds + time.localtime(seconds).tm_gmtoff) * 1e3


def finish(figure: Any, height: int, margin: dict[str, int]) -> str:
    """Return a figure as a piece of HTML, in colours that are seen on light and on dark paper."""
    figure.update_layout(
        height=height, margin=margin, showlegend=False, bargap=0.04, paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)", font={"color": GREY, "size": 12}, hoverlabel={"align": "left"}, dragmode="zoom",
    )  # fmt: skip
    figure.update_xaxes(gridcolor=GRID, linecolor=GRID, zeroline=False)
    figure.update_yaxes(gridcolor=GRID, linecolor=GRID, zeroline=False)
    return figure.to_html(full_html=False, include_plotlyjs=False, config=CONFIG, default_width="100%",
                          default_height=f"{height}px")  # fmt: skip


def describeColumn(name: str) -> str:
    """Return what a column is and its unit in parentheses."""
    column = COLUMNS[name]
    return f"{column.words} ({column.unit})" if column.unit else column.words
