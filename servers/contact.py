"""Reach a server and note how that ended: its contact state, its host keys, when to look next."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.actors import Actor
from hosts.errors import HostError, HostKeyChanged, HostKeyUnknown, LoginRefused, NotPlain
from hosts.host import Result
from hosts.target import Target
from servers.connect import NoConnection, target_to_check, way_to
from servers.models import Contact, HostKey, Rollout, RolloutState, Server
from servers.rollouts import due_on, start, start_look
from servers.transport import transport
from servers.words import sentence

EVERY = timedelta(minutes=5)
LONGEST = timedelta(hours=1)
ANSWER = "gestion"
ANEW = (Contact.UNKNOWN, Contact.REFUSED)  # its host key was accepted or refused; it did not let us in
SIDE_BY_SIDE = 16  # connections are mostly waiting; the pool keeps them warm


@dataclass(frozen=True)
class Reached:
    """How reaching a server ended; no error means that it was reached and let us in."""

    server: Server
    error: HostError | None


def reach(server: Server, target: Target) -> Reached:
    """Log in, and get a command's own answer and nothing else. Touches no database, so that threads may call it."""
    try:
        with transport().connect(target, server.name) as host:
            said = host.run(["echo", ANSWER], timeout=10)
            if said.out != f"{ANSWER}\n".encode():
                raise NotPlain(server.name, _words(said))
    except HostError as error:
        return Reached(server, error)
    return Reached(server, None)


def _words(said: Result) -> str:
    """The first line of what came in the place of the answer."""
    lines = (said.out + b"\n" + said.err).decode(errors="replace").split("\n")
    return next((line.strip() for line in lines if line.strip() not in {"", ANSWER}), "nothing")


def check(server: Server, *, wake: bool = True) -> Contact:
    """Try to reach the server now, its gateway before it, and note how that ended (see `note`)."""
    _address, gateway = _way(server)
    if gateway is not None:
        check(gateway, wake=wake)  # so that what the guest's connection says is about the guest
    reached = _reach_or_why_not(server)
    if _is_outdated(server, reached.error):
        reached = _reach_or_why_not(server)
    return note(reached, wake=wake)


def check_many(servers: Iterable[Server]) -> Iterable[tuple[Server, Contact]]:
    """Try to reach all of them, side by side, those that lead to others first; gives each as it is done."""
    direct: list[Server] = []
    behind: list[Server] = []
    for server in servers:
        (behind if _way(server)[1] else direct).append(server)
    for wave in (direct, behind):
        ready: list[tuple[Server, Target]] = []
        for server in wave:
            try:
                ready.append((server, target_to_check(server)))
            except HostError as error:
                yield server, note(Reached(server, error))
        with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="check") as threads:
            tasks = [threads.submit(reach, server, target) for server, target in ready]
            for task in as_completed(tasks):
                reached = task.result()
                yield reached.server, note(reached)


def _way(server: Server) -> tuple[object, Server | None]:
    try:
        return way_to(server)
    except HostError:
        return None, None


def _reach_or_why_not(server: Server) -> Reached:
    try:
        return reach(server, target_to_check(server))
    except HostError as error:
        return Reached(server, error)


def note(reached: Reached, *, wake: bool = True) -> Contact:
    """Write down how reaching a server ended; `wake`: roll out what waited for it, if it was reached."""
    now = timezone.now()
    with transaction.atomic():
        server = Server.objects.select_for_update(no_key=True).filter(pk=reached.server.pk).first()
        if server is None:
            return Contact.UNKNOWN
        if _is_outdated(server, reached.error):
            return Contact(server.contact)
        contact = _contact_of(server, reached.error)
        before = server.contact
        if contact != before:
            server.contact_since = now
        server.contact = contact
        server.contact_why = sentence(reached.error) if reached.error else ""
        server.checked_at = now
        if contact == Contact.OK:
            server.last_contact_at = now
            server.failed_checks = 0
            server.next_check_at = now + EVERY * 0.8  # a little early, so that no round is missed
        else:
            server.failed_checks += 1
            server.next_check_at = now + min(LONGEST, EVERY * 2 ** min(server.failed_checks - 1, 8)) * 0.8
        server.save(
            update_fields=[
                "contact", "contact_since", "contact_why", "checked_at", "last_contact_at", "failed_checks",
                "next_check_at",
            ]
        )  # fmt: skip
        if wake and contact == Contact.OK:
            _wake(server)
            if before in ANEW:
                _look(server)
    return contact


def _is_outdated(server: Server, error: HostError | None) -> bool:
    """Whether the key that it showed has been accepted since we began: then that it is not is no news any more."""
    shown = error.key if isinstance(error, HostKeyUnknown | HostKeyChanged) else None
    return shown is not None and server.host_keys.filter(key=shown, pinned_at__isnull=False).exists()


def _contact_of(server: Server, error: HostError | None) -> Contact:
    if isinstance(error, HostKeyUnknown | HostKeyChanged):
        offer(server, error.key, error.fingerprint if isinstance(error, HostKeyUnknown) else error.found)
        return Contact.UNPINNED if isinstance(error, HostKeyUnknown) else Contact.CHANGED
    if changed_key_waits(server):
        return Contact.CHANGED  # until an admin says which key is right, whatever it shows now
    if isinstance(error, NoConnection):
        return Contact.UNKNOWN  # nobody has said yet how; that is no trouble of the server
    if isinstance(error, LoginRefused):
        return Contact.REFUSED
    return Contact.UNREACHABLE if error else Contact.OK


def changed_key_waits(server: Server) -> bool:
    """Whether it showed another key than the accepted one, and no admin has said yet which is right."""
    return (
        server.host_keys.filter(pinned_at__isnull=True).exists()
        and server.host_keys.filter(pinned_at__isnull=False).exists()
    )


def offer(server: Server, key: str, fingerprint: str) -> None:
    """Keep a key that the server showed, for an admin to accept; older ones that nobody accepted go."""
    server.host_keys.filter(pinned_at__isnull=True).exclude(fingerprint=fingerprint).delete()
    HostKey.objects.update_or_create(
        server=server, fingerprint=fingerprint, defaults={"key": key, "seen_at": timezone.now()}
    )


def _wake(server: Server) -> None:
    """What could not be rolled out because the server was out of reach is rolled out now."""
    asleep = Rollout.objects.filter(server=server, state=RolloutState.UNREACHABLE)
    asleep.filter(retry_until__gt=timezone.now()).update(state=RolloutState.WAITING, retry_at=None)
    if due_on(server).exists():
        start(Actor.system("scheduler"), server)


def _look(server: Server) -> None:
    """It may be another machine by now, with nothing of ours: what was in sync is looked at, and not in an hour."""
    held = Rollout.objects.filter(server=server, state=RolloutState.IN_SYNC)
    if kinds := sorted(held.values_list("kind", flat=True)):
        start_look(Actor.system("scheduler"), server, kinds)


def check_soon(server: Server) -> None:
    """What is reached through this server has its turn at the next round."""
    Server.objects.filter(vm_host=server).update(next_check_at=timezone.now(), failed_checks=0)


def to_check() -> QuerySet[Server]:
    """The servers whose turn it is."""
    return Server.objects.filter(next_check_at__lte=timezone.now())
