"""How times, sizes, states and icons look on every page."""

import datetime
import functools
import re
from typing import Any

from django import forms, template
from django.forms import BoundField
from django.template.loader import get_template
from django.templatetags.static import static
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from pages import names

register = template.Library()

# A state is always a word and a colour; the words are the models' own labels.
COLOURS = {
    "green": {"in_sync", "done", "sent", "ok", "current", "active", "pinned", "reachable", "success"},
    "yellow": {"waiting", "stale", "drifted", "warning", "unknown", "stopped", "offered", "behind", "ready"},
    "blue": {"running", "applying", "info", "checking", "undoing", "looking"},
    "red": {
        "failed",
        "unreachable",
        "refused",
        "lost",
        "changed",
        "danger",
        "rollback_failed",
        "never",
        "held",
        "overdue",
        "incomplete",
        "not_started",
    },
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


_CODE = re.compile(r"(?<!`)(`{1,2})(?!`)(\S(?:[^`\n]*[^\s`])?)\1(?!`)")


@register.filter
def with_code(text: Any) -> SafeString:
    """What stands between backticks as code, as authors of docstrings and wizards write it; all else as it is."""
    if isinstance(text, SafeString):
        return text
    found = _CODE.split(str(text))  # plain, backticks, code, plain, …
    pieces = [format_html("{}", found[0])]
    for code, plain in zip(found[2::3], found[3::3], strict=True):
        pieces.append(format_html("<code>{}</code>{}", code, plain))
    return format_html_join("", "{}", ((piece,) for piece in pieces))


@register.filter
def both_spellings(name: Any) -> str:
    """A name in its letters and in ASCII, so that none can be taken for another: see pages/names.py."""
    return names.both_spellings(str(name))


@register.simple_tag
def state(value: Any, label: Any = "") -> SafeString:
    """A state as a coloured badge with its word."""
    word = label or str(value).replace("_", " ")
    return format_html('<span class="state state-{}">{}</span>', colour_of(value), word)


def colour_of(value: Any) -> str:
    """The colour of a state."""
    return next((colour for colour, names in COLOURS.items() if str(value) in names), "secondary")


@functools.cache
def sprite() -> str:
    """Where all icons are, in one file; a page asks some fifty times, and Django joins the address anew each time."""
    return static("icons.svg")


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of the sprite; decoration, unless a label says what it means."""
    hidden = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    return format_html('<svg class="icon" {}><use href="{}#{}"></use></svg>', hidden, sprite(), name)


@register.inclusion_tag("pages/_sort_header.html")
def sort_header(listing: Any, name: str, label: str) -> dict[str, Any]:
    """A column's heading that sorts by it, and says whether it does."""
    direction = {name: "ascending", f"-{name}": "descending"}.get(listing.sort, "")
    return {"url": listing.sort_url(name), "label": label, "direction": direction}


@register.simple_tag
def list_url(listing: Any, **changes: Any) -> str:
    """The list's query string with these parameters changed."""
    return str(listing.url(**changes))


# Which of Bootstrap's classes a widget takes; the first that fits.
_WIDGET_CLASSES: tuple[tuple[type[forms.Widget], str], ...] = (
    (forms.CheckboxSelectMultiple, "form-check-input"),
    (forms.RadioSelect, "form-check-input"),
    (forms.CheckboxInput, "form-check-input"),
    (forms.SelectMultiple, "form-select"),
    (forms.Select, "form-select"),
    (forms.Widget, "form-control"),
)


@register.inclusion_tag("pages/_field.html")
def field(bound: BoundField, hint: Any = "") -> dict[str, Any]:
    """A form's field with its label, help and errors; `hint` is one more line below it."""
    widget = bound.field.widget
    css = next(css for kind, css in _WIDGET_CLASSES if isinstance(widget, kind))
    given = widget.attrs.get("class", "")
    if isinstance(widget, forms.CheckboxSelectMultiple | forms.RadioSelect):
        layout = "choices"
    else:
        layout = "check" if isinstance(widget, forms.CheckboxInput) else "control"
        css += " is-invalid" if bound.errors else ""
    widget.attrs["class"] = f"{given} {css}".strip()
    return {"field": bound, "layout": layout, "hint": hint}


@register.filter
def diff_lines(text: str) -> list[tuple[str, str]]:
    """The lines of a unified diff, each with what it is: add, remove, place, file or same."""
    return [(_kind_of(line), line) for line in (text or "").splitlines()]


def _kind_of(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "file"
    return {"+": "add", "-": "remove", "@": "place"}.get(line[:1], "same")


@register.simple_tag(takes_context=True)
def panel(context: template.Context, part: Any) -> SafeString:
    """Another room's part of this page (a `Card` or a `Panel`), in this page's context and its own."""
    found = get_template(part.template).template  # type: ignore[attr-defined]  # Django's own engine
    with context.push(**part.context):
        return SafeString(found.render(context))
