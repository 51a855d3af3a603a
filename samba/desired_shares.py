"""What a Samba server should hold: its shares, and the table that its users, passwords and folders follow."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from django.utils.translation import gettext as _

from hosts.state import STAGED, Command, File, State
from samba.configs import FOLDER, NotWritable, configured
from samba.models import FolderReturn, Share
from samba.names import is_comment
from samba.passwords import has_secret, nt_hash, secret_mark, share_password
from servers.models import Server
from servers.validators import is_smb_value

KIND = "samba"
SHARES = "/etc/smb.shares.conf"  # ⚓
TABLE = "/etc/gestion/samba/users"
SCRIPT = "/usr/local/lib/gestion/samba-shares"
KEEP = "-"  # the password that is there stays


@dataclass(frozen=True)
class Wanted:
    """Everything that the files on the server say of one share."""

    share: str
    user: str
    base: str
    folder: str
    comment: str
    read_only: bool
    active: bool
    adopt: bool
    hash: str

    @property
    def path(self) -> str:
        """Where its folder is."""
        return f"{self.base}/{self.folder}"


def shares_on(server: Server) -> list[Wanted]:
    """The rows of a server's shares, switched off ones too."""
    mark = secret_mark() if has_secret() else None
    return [
        Wanted(
            share=row.name,
            user=row.user,
            base=server.samba_base_folder,
            folder=row.folder,
            comment=row.comment,
            read_only=row.read_only,
            active=row.active,
            adopt=row.adopt,
            # From another secret than the one that is set: its password is not known here
            hash=nt_hash(share_password(row.uuid, row.password_number)) if row.secret_mark == mark else KEEP,
        )
        for row in Share.objects.filter(server=server).order_by("name")
    ]


def does(server: Server) -> Iterator[str]:
    """Which shares the server offers, in words: see servers.registry.RolloutKind."""
    for share in shares_on(server):
        if share.active:
            words = _("the share %s, to read only") if share.read_only else _("the share %s")
            yield words % share.share


def writable(shares: list[Wanted]) -> tuple[list[Wanted], list[str]]:
    """Those that the files can say, and sentences about the others; raises NotWritable for a base folder.

    A share is written with all that keeps others out of it, or not at all: then its user goes, and its folder is
    root's. A comment keeps nobody out, so the share goes on without it.
    """
    good: list[Wanted] = []
    left_out: list[str] = []
    for share in shares:
        words = {"share": share.share}
        if not is_smb_value(share.base):
            raise NotWritable(
                _("Samba cannot read the base folder %s, so no share was touched.") % ascii(share.base)
            )
        bare = replace(share, comment="")
        try:
            shares_text([bare])
            table_text([bare])
        except NotWritable as error:
            left_out.append(_("The share %(share)s is not there: %(why)s") % {**words, "why": error})
            continue
        if is_comment(share.comment):
            good.append(share)
        else:
            good.append(bare)
            left_out.append(_("The share %(share)s is there without its comment: change that.") % words)
    return good, left_out


def shares_text(shares: list[Wanted]) -> str:
    """/etc/smb.shares.conf; NotWritable for what it cannot say."""
    return configured("smb.shares.conf.j2", shares=[share for share in shares if share.active])


def table_text(shares: list[Wanted]) -> str:
    """The table for the script on the host; NotWritable for what it cannot say."""
    return configured("users.j2", shares=shares)


@cache
def _script() -> str:
    """The parts of the host's script, in their order."""
    return "\n".join(part.read_text() for part in sorted((FOLDER / "samba-shares").glob("*.sh")))


def records_command() -> tuple[str, ...]:
    """What prints the server's records of folders that were taken over; there may be no script on it any more."""
    return ("sh", "-c", _script(), "samba-shares", "records")


def list_command(base: str) -> tuple[str, ...]:
    """What prints all that lies in a base folder: see samba.looking."""
    return ("sh", "-c", _script(), "samba-shares", "list", base)


def desired(server: Server) -> State:
    """What the server should hold of kind "samba"; nothing, and no user of ours, where it has no share."""
    shares, left_out = writable(shares_on(server))
    returns = FolderReturn.objects.filter(server=server).values_list("user", flat=True)
    # By the text itself: before the first rollout and after the last one there is no script on the host.
    back = Command(("sh", "-c", _script(), "samba-shares", "back"), timeout=3600)
    if not shares:
        give_back = Command((*back.argv, *returns), timeout=3600)
        return State(kind=KIND, items=(), activate=(give_back,), left_out=tuple(left_out))
    patience = 60 + 2 * len(shares)
    return State(
        kind=KIND,
        items=(
            File(SHARES, shares_text(shares).encode()),
            File(TABLE, table_text(shares).encode(), mode=0o600, secret=True),
            File(SCRIPT, _script().encode(), mode=0o755),
        ),
        checks=(
            Command(
                ("sh", STAGED(SCRIPT), "check", STAGED(SHARES), STAGED(TABLE)), timeout=patience, always=True
            ),
        ),
        activate=(
            Command((SCRIPT, "apply", *returns), timeout=3600),
        ),  # a folder that is taken over may be long
        looks=(Command((SCRIPT, "look"), timeout=patience),),
        proofs=(Command((SCRIPT, "prove"), timeout=patience),),
        put_back=(back,),
        left_out=tuple(left_out),
    )
