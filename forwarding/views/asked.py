"""What the lists and forms of every noun take from the query string."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from pages.lists import Filter
from servers.models import Server


def number(request: HttpRequest, name: str) -> int:
    """A parameter that is the number of a row; 0 where it is no number."""
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else 0


def host_filter(rows: QuerySet[Any]) -> Filter:
    """A choice among the hosts that occur in these rows."""
    hosts = Server.objects.filter(pk__in=rows.values("host")).order_by("name").values_list("pk", "name")
    choices = [(str(pk), name) for pk, name in hosts]
    return Filter("host", _("Host"), choices, lambda all_, pk: all_.filter(host=pk))
