"""How times, sizes, states and icons look on every page."""

import datetime
from typing import Any

from django import template
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

register = template.Library()

# A state is always a word and a colour; the words are the models' own labels.
COLOURS = {
    "green": {"in_sync", "done", "ok", "current", "active", "pinned", "reachable", "success"},
    "yellow": {"waiting", "stale", "drifted", "warning", "unknown", "stopped", "offered", "behind"},
    "blue": {"running", "applying", "info", "checking"},
    "red": {"failed", "unreachable", "refused", "lost", "changed", "danger", "rollback_failed", "never"},
}


@register.simple_tag
def when(moment: datetime.datetime | None, empty: str = "") -> str:
    """A time as people say it, with the exact local time on hover."""
    if moment is None:
        return empty or _("never")
    local = timezone.localtime(moment)
    exact = formats.date_format(local, "Y-m-d H:i:s T")
    now = timezone.now()
    if abs((now - moment).total_seconds()) < 60:
        said = _("just now")
    elif moment < now:
        said = _("%s ago") % timesince(moment, now, depth=1)
    else:
        said = _("in %s") % timesince(now, moment, depth=1)
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, said)


@register.filter
def binary_size(count: float | None) -> str:
    """Bytes in binary units (IEC 80000-13): 1536 is 1.5 KiB."""
    if count is None:
        return ""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return ""


@register.simple_tag
def state(value: Any, label: Any = "") -> SafeString:
    """A state as a coloured badge with its word."""
    name = str(value)
    colour = next((colour for colour, names in COLOURS.items() if name in names), "secondary")
    word = label or name.replace("_", " ")
    return format_html('<span class="badge bg-{}-lt">{}</span>', colour, word)


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of the sprite; decoration, unless a label says what it means."""
    from django.templatetags.static import static

    hidden = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    return format_html(
        '<svg class="icon" {}><use href="{}#{}"></use></svg>', hidden, static("icons.svg"), name
    )


@register.inclusion_tag("pages/_sort_header.html")
def sort_header(listing: Any, name: str, label: str) -> dict[str, Any]:
    """A column's heading that sorts by it, and says whether it does."""
    direction = {name: "ascending", f"-{name}": "descending"}.get(listing.sort, "none")
    return {"url": listing.sort_url(name), "label": label, "direction": direction}


@register.simple_tag
def list_url(listing: Any, **changes: Any) -> str:
    """The list's query string with these parameters changed."""
    return str(listing.url(**changes))
