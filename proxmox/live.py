"""Parts of pages that are asked for again every few seconds, and answer nothing while nothing is new.

The page says in a header how new its data are; with nothing newer the answer is empty (204), and costs two queries.
"""

from collections.abc import Iterable

from django.http import HttpRequest, HttpResponse

from proxmox.models.seen import NodeSeen

HEADER = "Gestion-Seen"


def stamp(nodes: Iterable[NodeSeen]) -> str:
    """How new the data of these hosts are."""
    return max((node.looked_at.isoformat() for node in nodes if node.looked_at), default="never")


def nothing_new(request: HttpRequest, now: str) -> HttpResponse | None:
    """An empty answer to a part that shows these data already; None where it must be rendered."""
    if request.headers.get("HX-Request") == "true" and request.headers.get(HEADER) == now:
        return HttpResponse(status=204)
    return None
