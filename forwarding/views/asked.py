"""What the lists and forms of every noun take from the query string."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.permissions import user_of
from jobs.live import live
from jobs.models import Job
from pages.lists import Filter
from servers.models import Rollout, RolloutRecord, Server
from servers.views.common import for_reader


def rolled_on(request: HttpRequest, server: Server | None, kind: str) -> dict[str, Any]:
    """How a kind stands on the server that has it: the state for all, the rest as far as it may be read.

    It tells of the others whose ports and names that server has.
    """
    user = user_of(request)
    rollouts = for_reader(user, Rollout.objects.filter(server=server, kind=kind))
    records = RolloutRecord.objects.filter(server=server, kind=kind) if user.is_admin else None
    jobs = Job.objects.visible_to(user).filter(work="servers.roll_out")
    return {
        "rollout": next(iter(rollouts), None),
        "record": records.first() if records else None,
        "rolling": live(request, jobs.of(server)) if server else None,
    }


def host_filter(rows: QuerySet[Any]) -> Filter:
    """A choice among the hosts that occur in these rows."""
    hosts = Server.objects.filter(pk__in=rows.values("host")).order_by("name").values_list("pk", "name")
    choices = [(str(pk), name) for pk, name in hosts]
    return Filter("host", _("Host"), choices, lambda all_, pk: all_.filter(host=pk))
