"""What the pages of guests and hosts share."""

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from accounts.permissions import user_of
from proxmox.models.seen import GuestSeen


def visible_guest(request: HttpRequest, pk: int) -> GuestSeen:
    """The guest, if the signed-in user may see it; else 404."""
    rows = GuestSeen.objects.visible_to(user_of(request)).select_related("host", "server")
    return get_object_or_404(rows, pk=pk)
