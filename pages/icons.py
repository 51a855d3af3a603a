"""Tabler's outline icons that the panel uses: add a name to icons.txt, then run `manage.py make_icons`."""

import re
from pathlib import Path

ICONS = tuple(Path(__file__).with_name("icons.txt").read_text().split())

_SHAPES = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)
_BOUNDS = re.compile(r'<path stroke="none" d="M0 0h24v24H0z" fill="none" ?/>')


def sprite(folder: Path) -> str:
    """All of ICONS as one SVG of symbols, from @tabler/icons' `folder`; OSError for a missing one."""
    symbols = [_symbol(name, (folder / f"{name}.svg").read_text()) for name in ICONS]
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def _symbol(name: str, svg: str) -> str:
    found = _SHAPES.search(svg)
    shapes = _BOUNDS.sub("", found[1] if found else "")
    return (
        f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75"'
        f' stroke-linecap="round" stroke-linejoin="round">{" ".join(shapes.split())}</symbol>'
    )
