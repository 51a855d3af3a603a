"""What the pages of this room share: finding the server, and servers as JSON."""

from collections.abc import Iterable
from typing import Any, TypeVar

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from accounts.models import User
from accounts.permissions import user_of
from servers import registry
from servers.models import Rollout, RolloutRecord, Server

Shown = TypeVar("Shown", Rollout, RolloutRecord)


def visible_server(request: HttpRequest, pk: int) -> Server:
    """The server, if the signed-in user may see it; else 404."""
    return get_object_or_404(Server.objects.visible_to(user_of(request)).select_related("vm_host"), pk=pk)


def for_reader(user: User, rows: Iterable[Shown]) -> list[Shown]:
    """Rollouts or records of them as this user may read them: what needs an admin tells others only how it stands.

    Its files, its differences and why it was asked for name the servers of other people: whose copies lie on a backup
    server, whom a host's ports and names lead to.
    """
    found = list(rows)
    for row in found if not user.is_admin else []:
        if registry.needs_admin(row.kind):
            row.diff, row.asked_for = "", ""
            if isinstance(row, Rollout):
                row.why, row.foreign = "", []
            else:
                row.said = ""
    return found


def server_json(server: Server) -> dict[str, Any]:
    """A server as JSON, with all its settings and how it stands; wants tags, owners … prefetched."""
    return {
        "id": server.pk,
        "name": server.name,
        "keymanager_name": server.keymanager_name,
        "is_vm": server.is_vm,
        "vm_host": server.vm_host.name if server.vm_host else None,
        "external_ip": server.external_ip,
        "internal_ip": server.internal_ip,
        "ssh_connection": server.ssh_connection,
        "backup_ssh_connection": server.backup_ssh_connection,
        "is_proxmox": server.is_proxmox,
        "proxmox_node": server.proxmox_node,
        "external_interface": server.external_interface,
        "external_hostname_for_vms": server.external_hostname_for_vms,
        "nginx_server": server.nginx_server.name if server.nginx_server else None,
        "samba_management": server.samba_management,
        "samba_base_folder": server.samba_base_folder,
        "unix_users": [unix_user.name for unix_user in server.unix_users.all()],
        "owners": [owner.username for owner in server.owners.all()],
        "tags": [tag.name for tag in server.tags.all()],
        "notes": server.notes,
        "version": server.version,
        "created_at": server.created_at,
        "contact": server.contact,
        "contact_why": server.contact_why,
        "last_contact_at": server.last_contact_at,
        "rollouts": {rollout.kind: rollout.state for rollout in server.rollouts.all()},
    }


def rollout_json(rollout: Rollout) -> dict[str, Any]:
    """A rollout as JSON."""
    return {
        "server": rollout.server_id,
        "server_name": rollout.server.name,
        "kind": rollout.kind,
        "title": rollout.title,
        "state": rollout.state,
        "since": rollout.since,
        "why": rollout.why,
        "wanted": rollout.wanted,
        "applied": rollout.applied,
        "asked_for": rollout.asked_for,
        "asked_by": rollout.asked_by_name,
        "checked_at": rollout.checked_at,
        "diff": rollout.diff,
        "foreign": rollout.foreign,
        "job": rollout.job_id,
    }
