"""Rows from older versions that servers would refuse: they are in no answer, and are shown."""

from django.db.models import QuerySet

from keymanager.key_options import is_sent
from keymanager.lines import is_user
from keymanager.models import Key
from servers.models import UnixUser


def unsent_keys() -> QuerySet[Key]:
    """The keys that no server gets. What is pasted now is held against at least as much."""
    rows = Key.objects.order_by().values_list("pk", "options", "type", "blob", "comment")
    odd = [pk for pk, *parts in rows if not is_sent(parts[0], " ".join(filter(None, parts)))]
    return Key.objects.filter(pk__in=odd)


def unsent_unix_users() -> QuerySet[UnixUser]:
    """The unix users that no server gets keys for, because of their names."""
    names = UnixUser.objects.order_by().values_list("name", flat=True).distinct()
    return UnixUser.objects.filter(name__in=[name for name in names if not is_user(name)])
