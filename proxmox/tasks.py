"""Registers the works of this room, which lie beside their noun, and Celery's own message of it."""

from celery import shared_task

from proxmox import works_access, works_create, works_guests

__all__ = ["look", "works_access", "works_create", "works_guests"]


@shared_task(name="proxmox.look", ignore_result=True)
def look(host_ids: list[int], apart: float = 0.0, vmid: int | None = None) -> None:
    """Look at these hosts."""
    from proxmox.looking import look_at

    look_at(host_ids, apart=apart, vmid=vmid)
