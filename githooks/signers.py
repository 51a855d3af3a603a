"""Whose signature under a commit counts: the SSH keys of the panel's active admins, as `git verify-commit` checks them.

git-config(1), gpg.ssh.allowedSignersFile; ssh-keygen(1), ALLOWED SIGNERS.
"""

import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from githooks.git import PullFailed, run_git
from githooks.models import Repository
from keymanager.models import Key

# sshd(8): YYYYMMDD[HHMM[SS]][Z]
_EXPIRY = re.compile(r'expiry-time="([0-9]{8})([0-9]{4})?([0-9]{2})?(Z)?"', re.ASCII | re.IGNORECASE)
_NONE = "/bin/false"  # no other kind of signature than SSH's is asked about


def must_be_signed(repository: Repository) -> bool:
    """Whether GIT_REQUIRE_SIGNED names it, or all ("*")."""
    return bool({repository.key, "*"} & {name.strip() for name in settings.GIT_REQUIRE_SIGNED})


def signer_of(folder: Path, commit: str) -> User:
    """The admin who signed this very commit. Raises PullFailed.

    As with git, a signature vouches for the commit and all that it is built on, however that was signed.
    """
    with tempfile.TemporaryDirectory(prefix="gestion-signers-") as place:
        allowed = Path(place) / "allowed_signers"
        allowed.write_text("".join(_lines()))
        options = (
            *("-c", f"gpg.ssh.allowedSignersFile={allowed}", "-c", "gpg.ssh.program=ssh-keygen"),
            *("-c", f"gpg.program={_NONE}", "-c", f"gpg.openpgp.program={_NONE}"),
            *("-c", f"gpg.x509.program={_NONE}"),
        )
        proved = run_git(folder, *options, "verify-commit", commit)
        told = run_git(folder, *options, "show", "-s", "--no-show-signature", "--format=%G?%n%GS", commit)
    state, _newline, principal = told.stdout.decode(errors="replace").strip().partition("\n")
    person = _person(principal) if proved.returncode == 0 and state == "G" else None
    if person is None:
        raise PullFailed(_("The commit %s is not signed by an SSH key of an active admin.") % commit[:12])
    return person


def _person(principal: str) -> User | None:
    number = principal.removeprefix("admin-")
    found = User.objects.filter(pk=number) if number.isdecimal() else User.objects.none()
    return found.filter(is_active=True, is_admin=True).first()


def _lines() -> Iterator[str]:
    rows = Key.objects.filter(person__is_active=True, person__is_admin=True)
    for key in rows.order_by("pk"):
        if may_sign(key.options, timezone.now()):
            yield f'admin-{key.person_id} namespaces="git" {key.type} {key.blob}\n'


def may_sign(options: str, now: datetime) -> bool:
    """Whether a key with these options counts: one that is limited for logins is trusted with no more here."""
    if not options:
        return True
    found = _EXPIRY.fullmatch(options)
    if found is None:
        return False
    day, minutes, seconds, utc = found.groups()
    zone: tzinfo = UTC if utc else timezone.get_default_timezone()
    text = f"{day}T{minutes or '0000'}{seconds or '00'}"
    try:
        return now < datetime.fromisoformat(text).replace(tzinfo=zone)
    except ValueError:
        return False
