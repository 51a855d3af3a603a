"""An object's history, on any page: `{% load accounts_tags %}{% history object %}`."""

from typing import Any

from django import template
from django.db.models import Model
from django.utils.translation import gettext as _

from accounts.models import AuditEntry
from accounts.verbs import verb_words

register = template.Library()
register.filter("verb_words", verb_words)


@register.inclusion_tag("accounts/_history.html", takes_context=True)
def history(context: dict[str, Any], obj: Model, most: int = 10) -> dict[str, Any]:
    """The last changes of `obj` (no sign-ins), one query; admins also get a link to all of them."""
    kind = obj._meta.label_lower
    rows = AuditEntry.objects.filter(object_type=kind, object_id=str(obj.pk))
    entries = list(rows.exclude(verb__startswith="session.")[: most + 1])
    return {
        "entries": entries[:most],
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
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)
