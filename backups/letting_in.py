"""Whether the keymanager lets the backup server's root in at a source, as far as the inventory knows."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from backups.models import Backup
from backups.ways import NoWay, way_from
from keymanager.keysets import key_sets
from keymanager.models import Key


@dataclass(frozen=True)
class Missing:
    """What is missing for the backup server to be let in, and where to mend it."""

    words: str
    button: str
    url: str


def missing(backup: Backup) -> Missing | None:
    """What is missing; None where the key set of the source has a key of root on the backup server."""
    words = {"there": backup.destination, "source": backup.source}
    keys = Key.objects.filter(unix_user__server=backup.destination, unix_user__name="root")
    prints = set(keys.values_list("fingerprint", flat=True))
    if not prints:
        text = _(
            "The keymanager knows no SSH key of root on %(there)s, with which it logs in to the sources."
        )
        url = reverse("keymanager:server_keys", args=[backup.destination_id])
        return Missing(text % words, _("Read its keys"), url)
    try:
        user = way_from(backup.destination, backup.source)[-1].address.user
    except NoWay:
        return None
    name = backup.source.keymanager_name
    lines = key_sets([name]).get(name, {}).get(user, ())
    if prints & {line.fingerprint for line in lines}:
        return None
    text = _("The key of root on %(there)s is not among those that may log in to %(source)s as %(user)s.")
    return Missing(text % {**words, "user": user}, _("Allow it by a group"), reverse("keymanager:groups"))
