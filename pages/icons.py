"""Which of Tabler's outline icons the panel uses; `manage.py make_icons` packs them into static/icons.svg."""

import re
from pathlib import Path

ICONS = tuple(
    """
    activity adjustments alert-triangle api arrow-back-up arrow-down arrow-up ban bolt calendar certificate check
    chevron-down chevron-left chevron-right circle-check circle-x clock copy cpu dashboard database
    device-desktop device-floppy dots download external-link eye file-text filter fingerprint folder git-branch
    heart-rate-monitor history info-circle key key-off layout-dashboard link list-check lock logout mail map
    menu-2 moon network note password pencil player-play player-stop plug plus refresh route search selector
    server server-2 settings shield shield-check sitemap sun tag terminal trash upload user user-plus users
    users-group wand world x
    """.split()
)

_SHAPES = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)
_BOUNDS = re.compile(r'<path stroke="none" d="M0 0h24v24H0z" fill="none" ?/>')


def sprite(folder: Path) -> str:
    """All of ICONS as one SVG of symbols. `folder` is icons/outline of @tabler/icons; raises OSError for a name it lacks."""
    symbols = [_symbol(name, (folder / f"{name}.svg").read_text()) for name in ICONS]
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def _symbol(name: str, svg: str) -> str:
    found = _SHAPES.search(svg)
    shapes = _BOUNDS.sub("", found[1] if found else "")
    return (
        f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75"'
        f' stroke-linecap="round" stroke-linejoin="round">{" ".join(shapes.split())}</symbol>'
    )
