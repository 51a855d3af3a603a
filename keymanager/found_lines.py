"""Lines that somebody put into an authorized_keys2 by hand: kept, audited and told."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import audit
from accounts.actors import Actor
from accounts.models import User
from keymanager.desired import KIND
from keymanager.found import Found, Looked, read_header, read_look
from keymanager.look_models import FoundLine, KeyLook
from notifications.registry import Topic
from notifications.telling import tell
from servers.models import Rollout, RolloutState, Server
from servers.rollouts import start_look

TOPIC = Topic("keymanager.found", gettext_lazy("Somebody put a key on a server by hand"), order=15)
SYSTEM = Actor.system("keymanager")
MOST_KEPT = 200  # of one server; whoever has its token could name as many as he likes
TOLD_AGAIN = timedelta(days=1)  # of a line that comes again and again
SAME_WORD = timedelta(minutes=10)  # in which a host that heard no answer may say the same again


@transaction.atomic
def note_look(server: Server, words: str) -> None:
    """A look has ended with these words; "": every authorized_keys2 is as it was written."""
    looked = read_look(words) if words else Looked(())
    if looked is None:  # the words of a script that cannot look
        return
    now = timezone.now()
    KeyLook.objects.update_or_create(server=server, defaults={"looked_at": now, "differs": words})
    for found in looked.lines:
        _note(server, found, now, gone=False)
    if looked.cut:
        return
    still = {(found.unix_user, found.fingerprint) for found in looked.lines}
    for row in FoundLine.objects.filter(server=server, gone_at=None).exclude(unix_user__in=looked.unsure_of):
        if (row.unix_user, row.fingerprint) not in still:
            _gone(row, now)


def note_fetches(told: Mapping[int, Iterable[bytes]]) -> None:
    """What fetches took out, by server, as the servers say. Servers deleted meanwhile are left out."""
    for server in Server.objects.filter(pk__in=told):
        with transaction.atomic():
            for value in told[server.pk]:
                for found in read_header(value):
                    _note(server, found, timezone.now(), gone=True)
            look_again([server])


@transaction.atomic
def note_none_left(server: Server) -> None:
    """What came from here was taken away from it, and with it what somebody had put beside."""
    KeyLook.objects.filter(server=server).delete()
    for row in FoundLine.objects.filter(server=server, gone_at=None):
        _gone(row, timezone.now())


def look_again(servers: Iterable[Server]) -> None:
    """Have those looked at anew that are known as changed by hand, because a fetch may have put them right."""
    drifted = Rollout.objects.filter(kind=KIND, state=RolloutState.DRIFTED)
    for server in Server.objects.filter(pk__in=[row.pk for row in servers], rollouts__in=drifted):
        start_look(SYSTEM, server, [KIND])


def _note(server: Server, found: Found, now: datetime, *, gone: bool) -> None:
    rows = FoundLine.objects.select_for_update().filter(
        server=server, unix_user=found.unix_user, fingerprint=found.fingerprint
    )
    row = rows.first()
    if row is None:
        _make_room(server)
        row = FoundLine(server=server, unix_user=found.unix_user, fingerprint=found.fingerprint, times=0)
    elif row.gone_at and gone and row.gone_at > now - SAME_WORD:
        return
    comes = row.pk is None or row.gone_at is not None
    row.type, row.has_options, row.comment = found.type, found.has_options, found.comment
    row.seen_at, row.times, row.gone_at = now, row.times + comes, None
    row.save()
    if comes:
        audit.record(SYSTEM, "key.found", server, after=_facts(row))
        _tell(row, now, gone=gone)
    if gone:
        _gone(row, now)


def _gone(row: FoundLine, now: datetime) -> None:
    row.gone_at = now
    row.save(update_fields=["gone_at"])
    audit.record(SYSTEM, "key.gone", row.server, before=_facts(row))


def _make_room(server: Server) -> None:
    kept = FoundLine.objects.filter(server=server)
    if (over := kept.count() + 1 - MOST_KEPT) > 0:
        oldest = kept.order_by("seen_at", "pk").values_list("pk", flat=True)[:over]
        FoundLine.objects.filter(pk__in=list(oldest)).delete()


def _tell(row: FoundLine, now: datetime, *, gone: bool) -> None:
    if row.told_at and row.told_at > now - TOLD_AGAIN:
        return
    words = {"user": row.unix_user, "server": row.server, "line": line_words(row)}
    title = _("%(server)s: a line put into authorized_keys2 of %(user)s by hand") % words
    text = _("%(line)s did not come from Gestion.") % words
    text += " " + (
        _("The server's own fetch has taken it out.")
        if gone
        else _("It lets in whoever has its private key until the server fetches again, within the hour.")
        if row.fingerprint
        else _("It goes when the server fetches again, within the hour.")
    )
    tell(TOPIC.name, title, text, path=page_of(row.server), may_see=_sees(row.server))
    FoundLine.objects.filter(pk=row.pk).update(told_at=now)


def _sees(server: Server) -> Callable[[User], bool]:
    return lambda person: Server.objects.visible_to(person).filter(pk=server.pk).exists()


def page_of(server: Server) -> str:
    """Where what was found on a server is shown."""
    return reverse("keymanager:server", args=[server.pk])


def line_words(row: FoundLine) -> str:
    """What was found, in words."""
    if not row.fingerprint:
        return _("A line that is no key")
    return " ".join(part for part in (row.type, row.fingerprint, row.comment) if part)


def _facts(row: FoundLine) -> dict[str, object]:
    return {
        "unix_user": row.unix_user,
        "type": row.type,
        "fingerprint": row.fingerprint,
        "options": row.has_options,
        "comment": row.comment,
        "times": row.times,
    }
