"""Who may do what where: privileges, roles, and the ACL's rules of inheritance."""

import re
from collections.abc import Callable

from .errors import Forbidden
from .world import Grant, User, World

VM = "Allocate Audit Backup Clone Console Config.CDROM Config.CPU Config.Cloudinit Config.Disk Config.HWType"
VM += " Config.Memory Config.Network Config.Options Migrate PowerMgmt Snapshot Snapshot.Rollback"
AGENT = "Audit FileRead FileSystemMgmt FileWrite Unrestricted"
DATASTORE = "Allocate AllocateSpace AllocateTemplate Audit"
SYS = "Audit Console Incoming Modify PowerMgmt Syslog AccessNetwork"
OTHERS = (
    "Group.Allocate Permissions.Modify Pool.Allocate Pool.Audit Realm.Allocate Realm.AllocateUser User.Modify"
)
SDN = "Allocate Audit Use"
MAPPING = "Audit Modify Use"
CAPABILITIES = {
    "vms": r"VM\.|Permissions\.Modify",
    "access": r"(User|Group)\.|Permissions\.Modify",
    "storage": r"Datastore\.|Permissions\.Modify",
    "nodes": r"Sys\.|Permissions\.Modify",
    "sdn": r"SDN\.|Permissions\.Modify",
    "dc": r"Sys\.Audit|Sys\.Modify|SDN\.",
    "mapping": r"Mapping\.|Permissions\.Modify",
}
KNOWN_PATHS = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")


def all_privileges(major: int) -> set[str]:
    """Return every privilege of a main version: networks came with 8, hardware mappings too."""
    named = {f"VM.{word}" for word in VM.split()} | {f"Datastore.{word}" for word in DATASTORE.split()}
    named |= {f"Sys.{word}" for word in SYS.split()} | set(OTHERS.split())
    agent = {f"VM.GuestAgent.{word}" for word in AGENT.split()}
    named |= {"VM.Monitor"} if major < 9 else {"VM.Replicate", *agent}
    if major >= 8:
        named |= {f"SDN.{word}" for word in SDN.split()} | {f"Mapping.{word}" for word in MAPPING.split()}
    return named


def built_in_roles(major: int) -> dict[str, set[str]]:
    """Return the roles that Proxmox brings."""
    every = all_privileges(major)

    def like(pattern: str) -> set[str]:
        return {name for name in every if re.fullmatch(pattern, name)}

    user = like(r"VM\.(Audit|Backup|Config\.(CDROM|Cloudinit)|Console|PowerMgmt)")
    return {
        "Administrator": every,
        "NoAccess": set(),
        "PVEAdmin": every
        - like(r"Permissions\.Modify|Sys\.(Modify|PowerMgmt|AccessNetwork)|Realm\.Allocate"),
        "PVEAuditor": like(r".*\.Audit"),
        "PVEDatastoreAdmin": like(r"Datastore\..*"),
        "PVEDatastoreUser": like(r"Datastore\.(AllocateSpace|Audit)"),
        "PVESDNUser": like(r"SDN\.(Audit|Use)"),
        "PVEVMAdmin": like(r"VM\..*"),
        "PVEVMUser": user,
    }


class Rights:
    """Answers what a user or token ("app@pve!sep") may do in a world."""

    def __init__(self, world: World, lacking: Callable[[], set[str]] = set) -> None:
        self.world = world
        self.lacking = lacking

    def roles(self) -> dict[str, set[str]]:
        """Return all roles by name."""
        return {**built_in_roles(self.world.major()), **self.world.roles}

    def of(self, who: str, path: str) -> set[str]:
        """Return the privileges that `who` has on a path."""
        if who == "root@pam":
            return all_privileges(self.world.major())
        return self._full(who, path) - self.lacking()

    def _full(self, who: str, path: str) -> set[str]:
        user, _, token = who.partition("!")
        if not token:
            return self._granted(who, path) if who != "root@pam" else all_privileges(self.world.major())
        record = self.world.users.get(user, User(user)).tokens.get(token)
        if record and not record.privsep:
            return self._full(user, path)
        return self._granted(who, path) & self._full(user, path)

    def _granted(self, who: str, path: str) -> set[str]:
        mine = [grant for grant in self.world.acl if grant.who == who]
        roles = self.roles()
        names = _on_path(mine, path)
        pools = [name for name, ids in self.world.pools.items() if path in {f"/vms/{vmid}" for vmid in ids}]
        for pool in pools:
            names |= _on_path(mine, f"/pool/{pool}")
        if "NoAccess" in names:
            return set()
        return {privilege for name in names for privilege in roles.get(name, set())}

    def has(self, who: str, path: str, privileges: list[str], *, any_of: bool = False) -> bool:
        """Return whether `who` has all the privileges on a path, or any of them."""
        mine = self.of(who, path)
        return (any if any_of else all)(privilege in mine for privilege in privileges)

    def require(self, who: str, path: str, privileges: list[str], *, any_of: bool = False) -> None:
        """Raise Forbidden, naming the first that is missing, unless `who` has them."""
        mine = self.of(who, path)
        missing = [privilege for privilege in privileges if privilege not in mine]
        if missing and not any_of:
            raise Forbidden(f"{path}, {missing[0]}")
        if len(missing) == len(privileges):
            raise Forbidden(f"{path}, {'|'.join(privileges)}")

    def table(self, who: str) -> dict[str, dict[str, int]]:
        """Return all privileges on all known paths, as access/permissions lists them."""
        with self.world.lock:
            paths = {*KNOWN_PATHS, *(grant.path for grant in self.world.acl)}
        found = {path: dict.fromkeys(sorted(self.of(who, path)), 1) for path in sorted(paths)}
        return {path: privileges for path, privileges in found.items() if privileges}

    def capabilities(self, who: str) -> dict[str, dict[str, int]]:
        """Return what the answer to a login says about the user's rights."""
        mine = {privilege for privileges in self.table(who).values() for privilege in privileges}
        return {
            group: {name: 1 for name in sorted(mine) if re.match(pattern, name)}
            for group, pattern in CAPABILITIES.items()
        }


def _on_path(grants: list[Grant], path: str) -> set[str]:
    """Return the roles that hold on a path: those of the deepest path with any, of those that reach it."""
    names: set[str] = set()
    steps = [step for step in path.split("/") if step]
    for depth in range(len(steps) + 1):
        here = "/" + "/".join(steps[:depth])
        final = depth == len(steps)
        found = {grant.role for grant in grants if grant.path == here and (final or grant.propagate)}
        names = found or names
    return names
