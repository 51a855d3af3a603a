"""What can be done about a server's fetching: set it up, take it away, replace its token, fetch now."""

from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from hosts.state import State
from jobs.models import Job
from jobs.run import Run
from jobs.services import start_job
from keymanager import pushing, signing, tokens
from keymanager.desired import KIND, Fetch, install_text, keys_state, minute_of
from keymanager.found_lines import note_none_left
from keymanager.lockout import Ways, check_ways, ways_in
from keymanager.models import DepartureHost, FetchReport, FetchToken, KeySetRevision
from keymanager.protocol import COPIES
from keymanager.pushing import fetch_now, fetch_soon
from keymanager.revisions import touch
from servers.models import Rollout, Server
from servers.rollouts import ask

__all__ = ["fetch_now", "fetch_soon", "install", "install_script", "rotate_token", "send_again", "uninstall"]
FORGET = "keymanager.forget"


def install(actor: Actor, server: Server) -> FetchToken:
    """Have this server fetch its keys from the panel: its token is made, script and cron entry are rolled
    out.
    """
    with transaction.atomic():
        token = tokens.give_token(actor, server)
        ask(actor, server, [KIND], _("Key fetching was set up."))
    return token


def uninstall(actor: Actor, server: Server, *, take_keys: bool = False) -> Job | None:
    """This server fetches no more: script, settings and cron entry go, its token ends.

    The keys it holds stay as they were last, so that nobody is locked out by it; with `take_keys` they are
    taken away first, by a job that needs to reach the server. Raises LockedOut where root had a way in by them.
    """
    if take_keys:
        had = ways_in({server.keymanager_name}).get(server.keymanager_name, Ways())
        check_ways({}, {}, (server, had, Ways()))
        title = _("Take away the keys on %(server)s") % {"server": server}
        return start_job(actor, FORGET, title, {"server": server.pk, "actor": actor.name}, subject=server)
    with transaction.atomic():
        tokens.take_token(actor, server)
        ask(actor, server, [KIND], _("Key fetching was taken away."))
    return None


def forget(run: Run, server: int, actor: str) -> None:
    """The work behind uninstall with take_keys. Raises FetchFailed, and then nothing was uninstalled."""
    row = Server.objects.get(pk=server)
    said: list[str] = []
    failed = pushing.run_on(run, [row], "--forget", said=said)
    if failed:
        raise pushing.FetchFailed(failed[0])
    with transaction.atomic():
        uninstall(Actor(run.job.owner, actor), row)
        told = [*said, *FetchReport.objects.filter(server=row).values_list("problem", flat=True)]
        _holds_nothing(row, but_copies=any(COPIES in words for words in told))


def forget_machine(actor: Actor, server: Server) -> None:
    """Its machine goes, with all that was rolled out there: its token ends, and nothing is done on it."""
    with transaction.atomic():
        tokens.take_token(actor, server)
        Rollout.objects.filter(server=server, kind=KIND).delete()
        _holds_nothing(server)


def _holds_nothing(server: Server, *, but_copies: bool = False) -> None:
    """It holds nothing of what it said; who left before is awaited there no more, if not for copies that it told of."""
    FetchReport.objects.filter(server=server).delete()
    if not but_copies:
        DepartureHost.objects.filter(server=server, confirmed_at=None).update(confirmed_at=timezone.now())
    note_none_left(server)


def rotate_token(actor: Actor, server: Server, *, at_once: bool = False) -> FetchToken:
    """A new token for this server, rolled out to it; the old one counts until it has used the new one.

    `at_once`: the old one stops now, because somebody else may know it.
    """
    with transaction.atomic():
        token = tokens.replace_token(actor, server, at_once=at_once)
        ask(actor, server, [KIND], _("The server's token was replaced."))
    return token


def send_again(actor: Actor, server: Server) -> None:
    """Give this server's key set a new revision, so that a host that saw a newer one accepts it.

    For after an older database was put back: hosts refuse what is older than what they hold, and say so.
    """
    with transaction.atomic():
        touch({server.keymanager_name})
        record(actor, "keys.send_again", server)


def install_script(server: Server) -> str:
    """What an admin pastes into a root shell on the server. Holds its token: for admins, after a POST, never
    kept.

    Raises FetchToken.DoesNotExist for a server without a token.
    """
    return install_text(_fetch_of(server, FetchToken.objects.get(server=server)))


def desired(server: Server) -> State | None:
    """What the server should hold of kind "keys"; None when it does not fetch from us."""
    token = FetchToken.objects.filter(server=server).first()
    return keys_state(_fetch_of(server, token)) if token else None


def _fetch_of(server: Server, token: FetchToken) -> Fetch:
    return Fetch(
        url=settings.GESTION_URL,
        name=server.keymanager_name,
        token=token.secret,
        signers=signing.allowed_signers(),
        minute=minute_of(server.name) if token.minute is None else token.minute,
        plain_http=settings.ALLOW_PLAIN_HTTP_KEYS and not settings.SECURE,
        spread=0 if settings.DEMO else 20,
        resolve=_resolve(server),
    )


def _resolve(server: Server) -> str:
    """Guests of the panel's own Proxmox host cannot reach its outside address: they go to its inside one."""
    url = urlsplit(settings.GESTION_URL)
    beside = server.vm_host is not None and server.vm_host.name == settings.GESTION_VM_NAME.lower()
    if not (settings.GESTION_IP and beside and url.hostname) or ":" in url.hostname:
        return ""  # nor is there a name to resolve in an IPv6 address
    return f"{url.hostname}:{url.port or (443 if url.scheme == 'https' else 80)}:{settings.GESTION_IP}"


def prepare_next_signing_key(actor: Actor) -> None:
    """Have every server that fetches believe a second signing key; see signing.use_next_key."""
    with transaction.atomic():
        signing.prepare_next_key(actor)
        for server in Server.objects.filter(fetch_token__isnull=False):
            ask(actor, server, [KIND], _("A second signing key was prepared."))


def use_next_signing_key(actor: Actor) -> None:
    """Sign with the second key, and have servers no longer believe the first."""
    with transaction.atomic():
        signing.use_next_key(actor)
        for server in Server.objects.filter(fetch_token__isnull=False):
            ask(actor, server, [KIND], _("The first signing key was retired."))


def note_tokens_changed() -> None:
    """Tell every endpoint that a server with a token was renamed or deleted, in the transaction that does
    it.
    """
    touch({KeySetRevision.TOKENS})
