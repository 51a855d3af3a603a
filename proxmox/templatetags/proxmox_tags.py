"""How guests look on every page: their state, bars of what they use, uptime, numbers over time.

Bars and lines are SVG with attributes only: the content security policy allows no inline style.
"""

import re
from collections.abc import Sequence
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from pages.templatetags.pages_tags import binary_size, state

register = template.Library()

HIGH, FULL = 0.75, 0.9
WORDS = {
    gettext_noop("running"), gettext_noop("stopped"), gettext_noop("paused"), gettext_noop("suspended"),
    gettext_noop("unknown"), gettext_noop("gone"),
}  # fmt: skip
COLOURS = {"running": "active", "paused": "waiting", "suspended": "waiting"}


@register.simple_tag
def guest_state(guest: Any) -> SafeString:
    """A guest's state as a word and a colour."""
    status = "gone" if guest.gone_at else guest.status
    return state(COLOURS.get(status, status if status == "gone" else "off"), status_word(status))


@register.filter
def status_word(status: str) -> str:
    """A guest's state as a word; one that Proxmox has and we do not know is shown as it is."""
    return _(status) if status in WORDS else status


@register.filter
def breakable(name: Any) -> SafeString:
    """A host name that a narrow column breaks after its dots and hyphens, and only then anywhere."""
    parts = re.findall(r"[^.-]*[.-]|[^.-]+", str(name))
    return format_html_join(SafeString("<wbr>"), "{}", ((part,) for part in parts))


@register.simple_tag
def size_bar(label: str, used: float | None, total: float | None) -> SafeString:
    """What is used of so many bytes, as a bar and as text."""
    if not total:
        return SafeString('<span class="text-secondary">–</span>')
    if used is None:
        return SafeString(binary_size(total))
    text = _("%(used)s of %(total)s") % {"used": binary_size(used), "total": binary_size(total)}
    return _bar(label, used / total, text)


@register.simple_tag
def short_size_bar(label: str, used: float | None, total: float | None) -> SafeString:
    """The same for a narrow column."""
    if not total or used is None:
        return size_bar(label, used, total)
    text = _("%(share)s of %(total)s") % {"share": f"{100 * used / total:.0f} %", "total": binary_size(total)}
    return _bar(label, used / total, text)


@register.simple_tag
def cpu_bar(label: str, share: float | None, cores: float | None = None) -> SafeString:
    """What is used of the processors, as a bar and as text."""
    if share is None:
        return SafeString('<span class="text-secondary">–</span>')
    text = f"{100 * share:.0f} %"
    if cores:
        count = f"{cores:g}"
        words = ngettext("%(share)s of %(count)s core", "%(share)s of %(count)s cores", round(cores))
        text = words % {"share": text, "count": count}
    return _bar(label, share, text)


def _bar(label: str, share: float, text: str) -> SafeString:
    part = min(1.0, max(0.0, share))
    level = "full" if part >= FULL else "high" if part >= HIGH else "fine"
    return format_html(
        '<span class="bar"><svg class="bar-line bar-{}" viewBox="0 0 100 6" preserveAspectRatio="none" role="img"'
        ' aria-label="{}: {} %"><rect class="bar-all" width="100" height="6"></rect>'
        '<rect class="bar-used" width="{}" height="6"></rect></svg><span class="bar-text">{}</span></span>',
        level, label, round(100 * part), f"{100 * part:.1f}", text,
    )  # fmt: skip


@register.filter
def uptime(seconds: int | None) -> str:
    """Seconds as people say them, in the two largest units: 93784 is 1 d 2 h."""
    if not seconds:
        return "–"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return _("%(days)d d %(hours)d h") % {"days": days, "hours": hour}
    if hours:
        return _("%(hours)d h %(minutes)d min") % {"hours": hour, "minutes": minute}
    if minutes:
        return _("%d min") % minute
    return _("%d s") % second


WIDTH, HEIGHT = 288, 48


@register.simple_tag
def line(label: str, points: Sequence[tuple[int, int]], last: int, count: int) -> SafeString:
    """A day as a line: points of (span, thousandths), of which `count` spans end at `last`.

    A span without a number is a gap. The text says what the line shows: now, least, most and average.
    """
    values = [value for _span, value in points]
    told = _(
        "%(label)s in the last 24 hours: now %(now)s %%, average %(average)s %%, highest %(most)s %%"
    ) % {
        "label": label,
        "now": round(values[-1] / 10),
        "average": round(sum(values) / len(values) / 10),
        "most": round(max(values) / 10),
    }
    step = WIDTH / count
    drawn = [
        " ".join(
            f"{WIDTH - (last - span) * step:.1f},{HEIGHT - 1 - value * (HEIGHT - 2) / 1000:.1f}"
            for span, value in run
        )
        for run in _runs(points)
    ]
    lines = format_html_join(
        "", '<polyline class="line-path" points="{}"></polyline>', ((one,) for one in drawn)
    )
    return format_html(
        '<figure class="line"><svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<line class="line-ground" x1="0" y1="{}" x2="{}" y2="{}"></line>{}</svg><figcaption>{}</figcaption></figure>',
        WIDTH, HEIGHT, told, HEIGHT - 0.5, WIDTH, HEIGHT - 0.5, lines, told,
    )  # fmt: skip


def _runs(points: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """The points cut where spans are missing; a missed look or two is no gap."""
    runs: list[list[tuple[int, int]]] = []
    for span, value in points:
        if not runs or span - runs[-1][-1][0] > 3:
            runs.append([])
        runs[-1].append((span, value))
    return runs
