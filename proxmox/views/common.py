"""What the pages of this room share."""

from datetime import timedelta

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone

from accounts.permissions import user_of
from jobs.live import is_over
from jobs.models import Job, JobState
from proxmox.models import GuestSeen
from servers.models import Server

TOLD_FOR = timedelta(minutes=10)  # a failed job stays on its guest's page


def proxmox_host(_request: HttpRequest, pk: int) -> Server:
    """The Proxmox host of the inventory; else 404. Views guard themselves who may ask for it."""
    return get_object_or_404(Server, pk=pk, is_proxmox=True)


def visible_guest(request: HttpRequest, pk: int) -> GuestSeen:
    """The guest as it was seen, if the signed-in user may see it; else 404."""
    rows = GuestSeen.objects.visible_to(user_of(request)).select_related("host", "server")
    return get_object_or_404(rows, pk=pk)


def live_job(request: HttpRequest, guest: GuestSeen) -> Job | None:
    """What is being done with a guest, or went wrong a moment ago, as far as the signed-in user may see it."""
    of_host = Job.objects.visible_to(user_of(request)).of(guest.host)
    job = of_host.filter(args__vmid=guest.vmid, args__kind=guest.kind).order_by("-pk").first()
    if job is None or not is_over(job, request):
        return job
    lately = job.ended_at is not None and job.ended_at > timezone.now() - TOLD_FOR
    return job if lately and job.state in {JobState.FAILED, JobState.LOST} else None
