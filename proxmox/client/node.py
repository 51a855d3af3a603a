"""What one can ask a node of a Proxmox cluster, and have it do."""

from typing import Any

from proxmox.client import names
from proxmox.client.answers import GuestNow, Json, NodeStatus, Storage, TaskNow, Version, Volume
from proxmox.client.calls import Calls


class NodeApi(Calls):
    """One node. Every call raises ProxmoxError (proxmox.client.errors), and BadName for what cannot be sent.

    Those that answer with a task's id only began something: give it to `wait_task`.
    """

    def _place(self) -> tuple[str, str]:
        return "nodes", names.node(self.node)

    def _guest(self, kind: str, vmid: int) -> tuple[str, str, str, str]:
        return *self._place(), names.kind(kind), names.vmid(vmid)

    # The node.

    def version(self) -> Version:
        """The version of Proxmox VE; needs no right at all."""
        return Version(str(self.get("version").get("version", "")))

    def status(self) -> NodeStatus:
        """How the node is (Sys.Audit on /nodes/NODE)."""
        return NodeStatus.of(self.get(*self._place(), "status"))

    def storages(self, content: str = "") -> list[Storage]:
        """Storages of the node that may hold `content` ("rootdir", "vztmpl"), as far as one may see them."""
        wanted = {"content": content} if content else {}
        return [Storage.of(item) for item in self.get(*self._place(), "storage", enabled=1, **wanted)]

    def volumes(self, storage: str, content: str) -> list[Volume]:
        """What lies in a storage, by kind of content ("vztmpl": templates)."""
        place = *self._place(), "storage", names.storage(storage), "content"
        return [Volume.of(item) for item in self.get(*place, content=content)]

    def networks(self) -> list[Json]:
        """The node's interfaces as Proxmox lists them; bridges have `type` "bridge" or "OVSBridge"."""
        return list(self.get(*self._place(), "network"))

    def permissions(self, path: str = "") -> dict[str, list[str]]:
        """One's own privileges by path; with `path`, those that count there."""
        found = self.get("access", "permissions", **({"path": path} if path else {})) or {}
        return {where: sorted(privileges) for where, privileges in found.items()}

    # Guests.

    def guests(self, *kinds: str) -> list[GuestNow]:
        """The node's guests that one may see (VM.Audit); of these kinds, or of both. By id."""
        found = [
            GuestNow.of(kind, item)
            for kind in kinds or names.KINDS
            for item in self.get(*self._place(), names.kind(kind))
        ]
        return sorted(found, key=lambda guest: guest.vmid)

    def guest(self, kind: str, vmid: int) -> GuestNow:
        """One guest as it is now. Raises Gone."""
        answer = self.get(*self._guest(kind, vmid), "status", "current")
        return GuestNow.of(kind, {"vmid": vmid, **answer})

    def config(self, kind: str, vmid: int, *, current: bool = False) -> Json:
        """A guest's configuration after its next start, or as it counts now; with its `digest`. Raises Gone."""
        return dict(self.get(*self._guest(kind, vmid), "config", **({"current": 1} if current else {})))

    def pending(self, kind: str, vmid: int) -> list[Json]:
        """Options (`key`, `value`), with what waits for the next start as `pending` or `delete`."""
        return list(self.get(*self._guest(kind, vmid), "pending"))

    def interfaces(self, vmid: int) -> list[Json]:
        """A running container's interfaces (since PVE 8; raises Refused before)."""
        return list(self.get(*self._guest(names.LXC, vmid), "interfaces") or [])

    def agent_interfaces(self, vmid: int) -> list[Json]:
        """A running machine's interfaces by its guest agent (VM.Monitor; since 9 VM.GuestAgent.Audit).

        Raises Refused where no agent answers.
        """
        answer = self.get(*self._guest(names.QEMU, vmid), "agent", "network-get-interfaces")
        found = answer.get("result") if isinstance(answer, dict) else None
        return found if isinstance(found, list) else []

    def snapshots(self, kind: str, vmid: int) -> list[Json]:
        """A guest's snapshots; the one called "current" is how it is now."""
        return list(self.get(*self._guest(kind, vmid), "snapshot"))

    def cluster_guests(self) -> list[Json]:
        """All guests of the cluster that one may see: `vmid`, `node`, `type`, `name`, `status` …"""
        return list(self.get("cluster", "resources", type="vm"))

    def next_id(self) -> int:
        """An id that no guest of the cluster has now. It is not reserved: a create may still be refused."""
        return int(self.get("cluster", "nextid"))

    # Changes.

    def create_container(self, vmid: int, options: Json) -> str:
        """Make a container; options as Proxmox has them (`ostemplate`, `ssh-public-keys`, …). A task's id."""
        return str(self.post(*self._place(), names.LXC, **{**options, "vmid": int(names.vmid(vmid))}))

    def power(self, kind: str, vmid: int, action: str, **options: Any) -> str:
        """`action` is start, stop, shutdown or reboot. A task's id."""
        if action not in {"start", "stop", "shutdown", "reboot"}:
            raise names.BadName(f"{action!r} is nothing that a guest can do.")
        return str(self.post(*self._guest(kind, vmid), "status", action, **options))

    def change_config(self, kind: str, vmid: int, changes: Json, *, digest: str = "") -> None:
        """Set options of a guest (None deletes one). With `digest`, refused if it has changed meanwhile.

        Done at once, or pending until its next start: see `pending`.
        """
        wanted = {name: value for name, value in changes.items() if value is not None}
        away = ",".join(sorted(name for name, value in changes.items() if value is None))
        more = {name: text for name, text in (("delete", away), ("digest", digest)) if text}
        self.put(*self._guest(kind, vmid), "config", **wanted, **more)

    def destroy(self, kind: str, vmid: int) -> str:
        """Remove a guest that does not run, its disks, and its entries in backup jobs and so on. A task's id."""
        return str(self.delete(*self._guest(kind, vmid), purge=1))

    def make_snapshot(self, kind: str, vmid: int, name: str, description: str = "") -> str:
        """Make a snapshot. A task's id."""
        return str(
            self.post(
                *self._guest(kind, vmid),
                "snapshot",
                snapname=names.snapshot(name),
                description=description or None,
            )
        )

    def roll_back(self, kind: str, vmid: int, name: str) -> str:
        """Go back to a snapshot; what came after is lost, and a running guest is stopped. A task's id."""
        return str(self.post(*self._guest(kind, vmid), "snapshot", names.snapshot(name), "rollback"))

    def delete_snapshot(self, kind: str, vmid: int, name: str) -> str:
        """Give a snapshot up. A task's id."""
        return str(self.delete(*self._guest(kind, vmid), "snapshot", names.snapshot(name)))

    # Tasks.

    def tasks(self, vmid: int, type: str = "") -> list[TaskNow]:  # noqa: A002 - Proxmox's word
        """Tasks about a guest on this node, running ones too, newest first; one's own need no right."""
        more = {"typefilter": type} if type else {}
        found = self.get(*self._place(), "tasks", vmid=int(names.vmid(vmid)), source="all", limit=50, **more)
        return [TaskNow.of_list(item) for item in found]

    def task(self, upid: str) -> TaskNow:
        """How a task stands."""
        return TaskNow.of_status(
            self.get("nodes", names.node_of_task(upid), "tasks", names.upid(upid), "status")
        )

    def task_log(self, upid: str, start: int, limit: int = 500) -> list[str]:
        """Lines of a task's log from number `start` (0 is the first)."""
        place = "nodes", names.node_of_task(upid), "tasks", names.upid(upid), "log"
        found = self.get(*place, start=start, limit=limit)
        # An empty log is one line that says so; it is no line of the log.
        return [str(item.get("t") or "") for item in found if item.get("t") != "no content"]

    def stop_task(self, upid: str) -> None:
        """Ask a task to end; one's own needs no right."""
        self.delete("nodes", names.node_of_task(upid), "tasks", names.upid(upid))
