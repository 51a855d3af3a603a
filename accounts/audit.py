"""The audit trail: one row a change, written in the transaction that makes it."""

from typing import Any

from django.db.models import Model

from accounts.actors import Actor
from accounts.models import AuditEntry
from pages.json_values import jsonable


def record(
    actor: Actor,
    verb: str,
    obj: Model | None = None,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditEntry:
    """Write that `actor` did `verb` (as "server.change") to `obj`. Never pass a secret in before or after."""
    return AuditEntry.objects.create(
        actor=actor.user,
        actor_name=actor.name,
        address=actor.address,
        verb=verb,
        object_type=obj._meta.label_lower if obj else "",
        object_id=str(obj.pk) if obj and obj.pk is not None else "",
        object_name=str(obj)[:255] if obj else "",
        before=jsonable(before) if before is not None else None,
        after=jsonable(after) if after is not None else None,
    )


def record_change(
    actor: Actor, verb: str, obj: Model, before: dict[str, Any], after: dict[str, Any]
) -> AuditEntry | None:
    """Write only the fields that differ; nothing when none does."""
    fields = [name for name in after if jsonable(before.get(name)) != jsonable(after[name])]
    if not fields:
        return None
    return record(
        actor, verb, obj, before={n: before.get(n) for n in fields}, after={n: after[n] for n in fields}
    )
