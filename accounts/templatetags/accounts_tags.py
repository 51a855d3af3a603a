"""An object's history, on any page: `{% load accounts_tags %}{% history object %}`."""

from typing import Any

from django import template
from django.db.models import Model

from accounts.models import AuditEntry

register = template.Library()


@register.inclusion_tag("accounts/_history.html", takes_context=True)
def history(context: dict[str, Any], obj: Model, most: int = 10) -> dict[str, Any]:
    """The last changes of `obj`, one query; admins also get a link to all of them."""
    kind = obj._meta.label_lower
    entries = AuditEntry.objects.filter(object_type=kind, object_id=str(obj.pk))[: most + 1]
    return {
        "entries": list(entries)[:most],
        "more": len(entries) > most,
        "object_key": f"{kind}:{obj.pk}",
        "user": context.get("user"),
    }


@register.filter
def shown(value: Any) -> str:
    """A recorded value as people read it."""
    if value is None or value in ("", []):
        return "–"
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)
