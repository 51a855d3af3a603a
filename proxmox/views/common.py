"""What the pages of this room share."""

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from servers.models import Server


def proxmox_host(_request: HttpRequest, pk: int) -> Server:
    """The Proxmox host of the inventory; else 404. Views guard themselves who may ask for it."""
    return get_object_or_404(Server, pk=pk, is_proxmox=True)
