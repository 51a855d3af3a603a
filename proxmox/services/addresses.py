"""Say how a host's internal network is."""

from django.db import transaction

from accounts.actors import Actor
from accounts.audit import record_change
from proxmox.models import InternalNetwork

_FACTS = ("prefix_length", "gateway", "bridge", "name_servers", "reserved")


@transaction.atomic
def change_network(actor: Actor, network: InternalNetwork) -> None:
    """Save what was said of a host's internal network; containers that exist keep what they have."""
    host = network.host
    before = InternalNetwork.objects.filter(host=host).first() or InternalNetwork(host=host)
    network.pk = before.pk
    network.bridge = network.bridge or "vmbr0"
    network.save()
    facts = [{name: getattr(row, name) for name in _FACTS} for row in (before, network)]
    record_change(actor, "network.change", host, *facts)
