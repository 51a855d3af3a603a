"""What the pages of this room share."""

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from accounts.permissions import user_of
from jobs.models import ENDED, Job
from proxmox.models import GuestSeen
from servers.models import Server


def proxmox_host(_request: HttpRequest, pk: int) -> Server:
    """The Proxmox host of the inventory; else 404. Views guard themselves who may ask for it."""
    return get_object_or_404(Server, pk=pk, is_proxmox=True)


def visible_guest(request: HttpRequest, pk: int) -> GuestSeen:
    """The guest as it was seen, if the signed-in user may see it; else 404."""
    rows = GuestSeen.objects.visible_to(user_of(request)).select_related("host", "server")
    return get_object_or_404(rows, pk=pk)


def live_job(request: HttpRequest, guest: GuestSeen) -> Job | None:
    """What is being done with a guest now, as far as the signed-in user may see it."""
    of_host = Job.objects.visible_to(user_of(request)).of(guest.host).exclude(state__in=ENDED)
    return of_host.filter(args__vmid=guest.vmid, args__kind=guest.kind).order_by("-pk").first()
