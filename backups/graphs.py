"""Numbers over time as pictures that the server draws: pure, from points to places in an SVG."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

WIDTH, HEIGHT = 640, 120
TOP, BOTTOM = 8, 4  # so that no line is cut at the edge


@dataclass(frozen=True)
class Point:
    """One figure at one time; `bad`: it did not go well."""

    at: datetime
    value: float
    bad: bool = False


@dataclass(frozen=True)
class Spot:
    """A point's place in the picture, and its words."""

    x: float
    y: float
    bad: bool
    at: datetime
    words: str


@dataclass(frozen=True)
class Graph:
    """A line with the area below it, in a box of WIDTH by HEIGHT whose lower edge is 0."""

    title: Any
    spots: tuple[Spot, ...]
    most: str
    least: str
    last: str
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def line(self) -> str:
        """The line's points, as SVG writes them."""
        return " ".join(f"{spot.x:g},{spot.y:g}" for spot in self.spots)

    @property
    def area(self) -> str:
        """The same, down to the lower edge and closed."""
        return f"{self.spots[0].x:g},{HEIGHT} {self.line} {self.spots[-1].x:g},{HEIGHT}"

    @property
    def begins(self) -> datetime:
        """The time at the left."""
        return self.spots[0].at

    @property
    def ends(self) -> datetime:
        """The time at the right."""
        return self.spots[-1].at


def graph(title: Any, points: Sequence[Point], words: Callable[[float], str]) -> Graph | None:
    """The graph of these points in the order of time; None for fewer than two, which show nothing over time."""
    points = sorted(points, key=lambda point: point.at)
    if len(points) < 2:
        return None
    first, last = points[0].at, points[-1].at
    span = (last - first).total_seconds() or 1.0
    values = [point.value for point in points]
    most = max(*values, 1e-9)
    spots = tuple(
        Spot(
            round((point.at - first).total_seconds() / span * WIDTH, 1),
            round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - point.value / most), 1),
            point.bad,
            point.at,
            words(point.value),
        )
        for point in points
    )
    return Graph(title, spots, words(max(values)), words(min(values)), words(values[-1]))
