"""Celery's messages of this room, and its works."""

from celery import shared_task


@shared_task(name="proxmox.look", ignore_result=True)
def look(host_ids: list[int], apart: float = 0.0, vmid: int | None = None) -> None:
    """Look at these hosts."""
    from proxmox.looking import look_at

    look_at(host_ids, apart=apart, vmid=vmid)
