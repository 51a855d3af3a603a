"""What every benchmark says at its end: its figures, what was wanted of them, and whether all of it is reached."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Wanted:
    """A limit of a figure: `sign` is "<=" or ">="."""

    sign: str
    limit: float

    def met(self, value: float | None) -> bool:
        """Whether a measured value keeps it."""
        if value is None:
            return False
        return value <= self.limit if self.sign == "<=" else value >= self.limit

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}"


def write(figures: Mapping[str, float | None], wanted: Mapping[str, Wanted], path: Path | None) -> bool:
    """Print the figures (None: not measured), write them to `path` as JSON, and say whether all is as wanted."""
    missed = [
        name
        for name, limit in wanted.items()
        if figures.get(name) is not None and not limit.met(figures[name])
    ]
    for name, value in figures.items():
        shown = "not measured" if value is None else f"{value:12.3f}"
        print(f"{name:40} {shown:>12}   {wanted.get(name, '')}{'   MISSED' if name in missed else ''}")
    ok = not missed
    if path:
        limits = {name: str(limit) for name, limit in wanted.items()}
        path.write_text(json.dumps({"figures": dict(figures), "wanted": limits, "ok": ok}, indent=1) + "\n")
    return ok
