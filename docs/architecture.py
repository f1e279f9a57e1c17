"""Draws docs/architecture.svg: the rooms of the house, and as arrows what the code in them imports.

    python docs/architecture.py

A room is a folder of `appion`; the modules that lie loose in `appion/base` are rooms of their own. Where each stands is
laid down here by hand. What cannot be placed, because it is new, is an error that names it.
"""

from __future__ import annotations

import ast
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DRAWING = ROOT / "docs" / "architecture.svg"

STEPS = ("motioncorrection", "ctfestimation")
#: What everybody may use: drawn below all others, without arrows.
GROUND = ("calc", "records", "step", "config", "settings", "failures")
#: From top to bottom, with what is in them. Arrows go down.
BASE = {
    "cli": "from the line of a command to the loop",
    "loop": "the turns: look, hand out, collect, store",
    "controller": "one run: way in, way out, states, report",
    "workers": "where workers come from; tasks; jobs/",
    "programs": "running one so that it always ends",
    "store": "writes rows, files, journal",
    "retrieve": "reads rows, files, movies, journal",
}
INSIDE = {
    "cli": "options, dry run, what the step brings",
    "library": "the step as a function for anybody",
    "store": "a result into rows and files",
    "retrieve": "rows into parameters; what is ready",
    "calc/external": "runs the program, reads its output",
    "calc/internal": "pure functions; the CPU program's",
    "records": "options, parameters, results",
}

WIDTH = 1080
#: Where arrows from base to sinedon go down, and how far apart arrows end at a side of a room.
LANE, SPREAD = 712, 9
STYLE = """
    svg { font-family: -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
    .paper { fill: #ffffff; }
    .house { fill: #f4f6f9; stroke: #d5dbe3; }
    .step { fill: #f0f6f1; stroke: #cfe0d3; }
    .room { fill: #ffffff; stroke: #8593a6; }
    .step-room { fill: #ffffff; stroke: #6f9a7b; }
    .ground { fill: #e6eaf0; stroke: #b9c3d0; }
    .tool { fill: #fbf6ec; stroke: #d3bf93; }
    .data { fill: #eef0fb; stroke: #a9b2e0; }
    .title { fill: #1c2530; font-size: 14px; font-weight: 600; }
    .name { fill: #1c2530; font-size: 13px; font-weight: 600; }
    .note { fill: #55606e; font-size: 11px; }
    .arrow { fill: none; stroke: #5d6b7e; stroke-width: 1.4; }
    .step-arrow { fill: none; stroke: #4c8a60; stroke-width: 1.4; }
    .wrong { fill: none; stroke: #c62f2f; stroke-width: 2.4; }
    .head { fill: #5d6b7e; } .step-head { fill: #4c8a60; } .wrong-head { fill: #c62f2f; }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #0f141a; }
      .house { fill: #171e27; stroke: #2e3947; }
      .step { fill: #142019; stroke: #28402f; }
      .room { fill: #212a35; stroke: #64748a; }
      .step-room { fill: #1d2c23; stroke: #57846a; }
      .ground { fill: #28323f; stroke: #46556a; }
      .tool { fill: #2a2519; stroke: #6d5d35; }
      .data { fill: #1e2238; stroke: #4c568f; }
      .title, .name { fill: #e8edf3; }
      .note { fill: #a3afbe; }
      .arrow { stroke: #93a2b6; } .step-arrow { stroke: #79bd8f; } .wrong { stroke: #ff6b6b; }
      .head { fill: #93a2b6; } .step-head { fill: #79bd8f; } .wrong-head { fill: #ff6b6b; }
    }
"""


@dataclass(frozen=True)
class Box:
    """A room on paper: where, how large (pixels), how it looks, and what is written into it."""

    x: float
    y: float
    width: float
    height: float
    look: str
    name: str
    note: str = ""

    @property
    def middle(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2


def readImports() -> dict[str, set[str]]:
    """Return, for each room, the others that its modules import, be it inside functions or for type checkers only."""
    modules = {nameModule(path): path for house in ("appion", "sinedon") for path in (ROOT / house).rglob("*.py")}
    imports: dict[str, set[str]] = defaultdict(set)
    for module, path in sorted(modules.items()):
        room = findRoom(module)
        imports[room] |= {findRoom(name) for name in iterateImports(path, modules)} - {room}
    return dict(imports)


def nameModule(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def iterateImports(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules of this project that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else node.module for name in inner]
        yield from (name for name in names if name in modules)


def findRoom(module: str) -> str:
    """Return the room that a module lies in, as a path below `appion`: ``base/workers``, ``doctor``, ``sinedon``."""
    house, *parts = module.split(".")
    if house == "sinedon" or not parts:
        return house
    if parts[0] not in ("base", *STEPS):
        return parts[0] if (ROOT / "appion" / parts[0]).is_dir() else house
    if parts[0] in STEPS and len(parts) > 1:
        inner = "/".join(parts[1:3]) if parts[1] == "calc" and len(parts) > 2 else parts[1]
        return f"{parts[0]}/{inner}"
    return "/".join(parts[:2])


def layOut(imports: Mapping[str, set[str]]) -> tuple[dict[str, Box], float]:
    """Return the boxes of all rooms, and how far down the houses begin below the commands (pixels)."""
    boxes = placeTools(imports)
    top = max(box.y + box.height for box in boxes.values()) + 24
    boxes |= placeStack("base", BASE, 405, top + 38, 270, "room")
    for number, name in enumerate(GROUND):
        boxes[f"base/{name}"] = Box(326 + 63 * number, top + 520, 60, 30, "ground", nameFile("base", name))
    for step, x in zip(STEPS, (52, 796), strict=True):
        boxes |= placeStack(step, INSIDE, x, top + 38, 232, "step-room")
    note = "the Leginon, project and Appion databases, on Django"
    boxes["sinedon"] = Box(320, top + 598, 440, 48, "data", "sinedon/", note)
    return boxes, top


def placeTools(imports: Mapping[str, set[str]]) -> dict[str, Box]:
    """Return the boxes of what lies in `appion` beside base and the steps, in a row, all as high as is needed."""
    tools = [room for room in sorted(imports) if "/" not in room and room not in ("base", "sinedon", *STEPS)]
    tools = [room for room in tools if imports[room]]
    width = (WIDTH - 40 + 12) / len(tools) - 12
    notes = [f"{readPurpose(room)}\nuses {nameUsed(imports[room])}" for room in tools]
    height = 30 + 14 * max(len(wrapNote(note, width)) for note in notes)
    names = [f"{room}/" if room != "appion" else "__init__.py" for room in tools]
    places = [20 + (width + 12) * number for number in range(len(tools))]
    boxes = (Box(x, 46, width, height, "tool", *words) for x, *words in zip(places, names, notes, strict=True))
    return dict(zip(tools, boxes, strict=True))


def placeStack(house: str, rooms: Mapping[str, str], x: float, y: float, width: float, look: str) -> dict[str, Box]:
    """Return the boxes of those rooms that there are, one below the other."""
    there = {name: note for name, note in rooms.items() if (ROOT / "appion" / house / nameFile(house, name)).exists()}
    return {f"{house}/{name}": Box(x, y + 66 * number, width, 44, look, nameFile(house, name), note)
            for number, (name, note) in enumerate(there.items())}  # fmt: skip


def nameFile(house: str, room: str) -> str:
    return f"{room}/" if (ROOT / "appion" / house / room).is_dir() else f"{room}.py"


def readPurpose(room: str) -> str:
    """Return what a room is for: the first sentence of its docstring, without the full stop."""
    folder = ROOT / "appion" / (room if room != "appion" else "")
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].partition(". ")[0].removesuffix(".").replace("`", "")


def nameUsed(rooms: Iterable[str]) -> str:
    """Return in few words what is used beside the ground floor: rooms of base, whole steps, other houses."""
    ground = {f"base/{name}" for name in GROUND}
    base = sorted(room.removeprefix("base/") for room in rooms if room.startswith("base/") and room not in ground)
    others = sorted({room.partition("/")[0] for room in rooms} - {"base"})
    return "; ".join(filter(None, (f"base: {', '.join(base)}" if base else "", ", ".join(others))))


def chooseArrows(imports: Mapping[str, set[str]], boxes: Mapping[str, Box]) -> list[tuple[str, str]]:
    """Return the imports that are drawn: none of tools, none into the ground floor, none that follow from others.

    Raises:
        ValueError: a room has no place in the drawing.
    """
    missing = sorted(room for room in imports if room not in boxes and imports[room])
    if missing:
        raise ValueError(f"no place for {', '.join(missing)}: give it one in BASE, INSIDE or GROUND of {__file__}")
    drawn = {name for name, box in boxes.items() if box.look in ("room", "step-room", "data")}
    arrows = {(source, target) for source in drawn for target in imports.get(source, ()) if target in drawn}
    arrows |= {(source, target) for source, targets in imports.items() if boxes.get(source, boxes["sinedon"]).look
               == "ground" for target in targets if target in drawn}  # fmt: skip
    down = {(source, target) for source, target in arrows if isDown(boxes[source], boxes[target])}
    reach: dict[str, set[str]] = {}
    for room in sorted(drawn, key=lambda name: (-boxes[name].y, boxes[name].look == "step-room")):
        below = {target for source, target in down if source == room}
        reach[room] = below.union(*(reach[target] for target in below))
    follow = {(source, target) for source, target in down for between in reach[source] - {target}
              if (source, between) in down and target in reach[between]}  # fmt: skip
    return sorted(arrows - follow)


def isDown(source: Box, target: Box) -> bool:
    return source.y < target.y or (source.y == target.y and (source.look, target.look) == ("step-room", "room"))


def drawArrows(arrows: list[tuple[str, str]], boxes: Mapping[str, Box]) -> Iterator[str]:
    """Draw arrows, each in a way of its own: those that share a side of a room end beside each other."""
    ends = defaultdict(list)  # (room, side): how far away the other room is, and the arrow
    for arrow in arrows:
        source, target = (boxes[name] for name in arrow)
        for room, side, other in zip(arrow, findSides(source, target), (target, source), strict=True):
            ends[room, side].append((other.y, arrow))
    for source, target in arrows:
        points = []
        for room, side in zip((source, target), findSides(boxes[source], boxes[target]), strict=True):
            order = [arrow for _y, arrow in sorted(ends[room, side])]
            shift = SPREAD * (order.index((source, target)) - (len(order) - 1) / 2)
            points.append(findPoint(boxes[room], side, shift))
        look = "step-arrow" if boxes[source].look == "step-room" else "arrow"
        look = look if isDown(boxes[source], boxes[target]) else "wrong"
        head = {"wrong": "wrong-head", "step-arrow": "step-head", "arrow": "head"}[look]
        path = findPath(*points, findSides(boxes[source], boxes[target]))
        yield (f'<path class="{look}" d="{path}" marker-end="url(#{head})"><title>{source} imports {target}</title>'
               "</path>")  # fmt: skip


def findSides(source: Box, target: Box) -> tuple[str, str]:
    """Return which sides of two rooms an arrow joins."""
    if target.look == "data" and source.look == "room":
        return "right", "top"
    if source.x == target.x:
        outer = "right" if source.x > WIDTH / 2 else "left"
        return ("bottom", "top") if 0 < target.y - source.y < 80 else (outer, outer)
    return ("right", "left") if source.x < target.x else ("left", "right")


def findPoint(box: Box, side: str, shift: float) -> tuple[float, float]:
    x, y = box.middle
    if side in ("top", "bottom"):
        return (LANE if box.look == "data" else x) + shift, box.y if side == "top" else box.y + box.height
    return box.x if side == "left" else box.x + box.width, y + shift


def findPath(start: tuple[float, float], end: tuple[float, float], sides: tuple[str, str]) -> str:
    """Return the way of an arrow as SVG has it: straight down, down a lane, around rooms of its stack, or across."""
    (x1, y1), (x2, y2) = start, end
    if sides == ("bottom", "top"):
        return f"M{x1:g} {y1:g} V{y2:g}"
    if sides == ("right", "top"):
        return f"M{x1:g} {y1:g} H{x2 - 12:g} Q{x2:g} {y1:g} {x2:g} {y1 + 12:g} V{y2:g}"
    if sides[0] == sides[1]:
        bend = x1 + (1 if sides[0] == "right" else -1) * (12 + abs(y2 - y1) / 12)
        return f"M{x1:g} {y1:g} C{bend:g} {y1:g} {bend:g} {y2:g} {x2:g} {y2:g}"
    return f"M{x1:g} {y1:g} C{(x1 + x2) / 2:g} {y1:g} {(x1 + x2) / 2:g} {y2:g} {x2:g} {y2:g}"


def drawBox(box: Box) -> Iterator[str]:
    x, _y = box.middle
    yield (f'<rect class="{box.look}" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" '
           'rx="6"/>')  # fmt: skip
    if not box.note:
        yield f'<text class="note" x="{x:g}" y="{box.y + 19:g}" text-anchor="middle">{escape(box.name)}</text>'
        return
    yield f'<text class="name" x="{x:g}" y="{box.y + 19:g}" text-anchor="middle">{escape(box.name)}</text>'
    for number, line in enumerate(wrapNote(box.note, box.width)):
        yield (f'<text class="note" x="{x:g}" y="{box.y + 35 + 14 * number:g}" text-anchor="middle">'
               f"{escape(line)}</text>")  # fmt: skip


def wrapNote(note: str, width: float) -> list[str]:
    """Return the lines of a note that is to be `width` pixels wide."""
    return [line for part in note.splitlines() for line in textwrap.wrap(part, int(width / 6.3))]


def drawFrames(top: float) -> Iterator[str]:
    """The sheet, the houses around the rooms, and the words beside them."""
    yield f'<rect class="paper" width="{WIDTH}" height="{top + 664:g}" rx="10"/>'
    yield '<text class="title" x="20" y="32">appion/: commands for people and for web pages</text>'
    for step, x in zip(STEPS, (20, 780), strict=True):
        yield f'<rect class="step" x="{x}" y="{top:g}" width="280" height="496" rx="10"/>'
        yield f'<text class="title" x="{x + 140}" y="{top + 24:g}" text-anchor="middle">{step}/</text>'
    yield f'<rect class="house" x="320" y="{top:g}" width="440" height="570" rx="10"/>'
    yield f'<text class="title" x="540" y="{top + 24:g}" text-anchor="middle">base/</text>'
    notes = ("An arrow says: imports. Not drawn are those that", "follow from others, and those to the lowest row",
             "of base, which every room uses.")  # fmt: skip
    for number, line in enumerate(notes):
        yield f'<text class="note" x="24" y="{top + 526 + 16 * number:g}">{line}</text>'


def draw() -> str:
    """Return the drawing as SVG."""
    imports = readImports()
    boxes, top = layOut(imports)
    heads = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto" '
        f'markerUnits="userSpaceOnUse"><path class="{name}" d="M0 0 L8 4 L0 8 z"/></marker>'
        for name in ("head", "step-head", "wrong-head")
    )
    content = [*drawFrames(top), *drawArrows(chooseArrows(imports, boxes), boxes)]
    content += [line for box in boxes.values() for line in drawBox(box)]
    inner = "\n".join(f"  {line}" for line in content)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 664:g}" role="img" '
        f'aria-label="The rooms of the package and what they import">\n'
        f"  <style>{STYLE}  </style>\n  <defs>{heads}</defs>\n{inner}\n</svg>\n"
    )


if __name__ == "__main__":
    DRAWING.write_text(draw(), encoding="utf-8")
    print(DRAWING)
