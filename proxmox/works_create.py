"""The works of creating containers, and what the schedule does for them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from jobs import schedule, works
from jobs.models import ENDED, Job, JobState
from jobs.rights import actor_of
from jobs.run import Run, Stopped
from jobs.services import start_job
from proxmox import first_start
from proxmox.addresses import problem_with
from proxmox.client import NodeApi, open_api
from proxmox.client.errors import NodeDown, ProxmoxError, Refused, RightsMissing, TaskFailed
from proxmox.create_answers import CreateFailed, LeftOver
from proxmox.create_options import by_form_field, options_of
from proxmox.making import Making
from proxmox.models import OPEN, AddressClaim, Creation, CreationState, Offer
from proxmox.observing import look_soon
from proxmox.offers import keep, read_addresses, read_offer
from proxmox.passwords import NoPasswordSecret, vm_password
from proxmox.services.create import CREATE, READ_OFFER
from servers.identity import panel_identity
from servers.models import Server

OFFERS = "proxmox.offers"
OFFER_EVERY = timedelta(hours=6)


class NotPossible(Exception):  # noqa: N818 - told to the person
    """What was possible when it was asked for is not any more; str() says why."""


works.expect(ProxmoxError, NoPasswordSecret, NotPossible, Creation.DoesNotExist)


@works.register(CREATE, safe_to_repeat=True)
def create(run: Run, *, creation: int) -> None:
    """Create the container of this row, from wherever an earlier attempt has left off."""
    row = Creation.objects.select_related("host", "server").get(pk=creation)
    Creation.objects.filter(pk=row.pk).update(state=CreationState.RUNNING, why="", errors={})
    actor = actor_of(run.job)
    password = vm_password(row.password_host, row.password_server)
    run.secrets.add(password)
    options = options_of(row, panel_key=panel_identity().public_key, password=password)
    remark = ""
    with _ending(run, row, actor):
        with open_api(row.host) as api:
            making = Making(run, api, row, options)
            with run.step(_("Look what is there")):
                _look(api, row)
            with run.step(_("Create the container")):
                making.make()
                run.log(_("It is container %(vmid)d on %(host)s.") % {"vmid": making.vmid, "host": row.host})
            run.progress(1, 3)
            if row.start:
                with run.step(_("Start it")):
                    first_start.start(making)
        run.progress(2, 3)
        with run.step(_("Put it into the inventory")):
            first_start.into_inventory(actor, row)
        if row.start:
            with run.step(_("Log in with the panel's key")):
                remark = first_start.reach(run, actor, row)
                if remark:
                    run.log(remark, "err")
        run.progress(3, 3)
    _end(row, CreationState.DONE, remark)


def _look(api: NodeApi, row: Creation) -> None:
    """That the address is free by what Proxmox says now. An earlier attempt's container may have it already."""
    read_addresses(api, row.host)
    if row.vmid is None and (problem := problem_with(row.host, row.address, of=row.server, creation=row)):
        Creation.objects.filter(pk=row.pk).update(errors={"address": [problem]})
        raise NotPossible(problem)


@contextmanager
def _ending(run: Run, row: Creation, actor: Actor) -> Iterator[None]:
    """However it ends: undo what should not stay, and write down how things stand."""
    try:
        yield
    except (Stopped, ProxmoxError, NoPasswordSecret, NotPossible, ValidationError) as error:
        if run.interrupted or run.lost:
            raise  # another attempt goes on from here
        if isinstance(error, Stopped) or run.stopping:  # Stop cuts connections, which fail in their own words
            _stop(run, row, actor)
            raise Stopped from error
        _fail(row, actor, error)
        if isinstance(error, Refused | TaskFailed | CreateFailed) and not isinstance(error, NodeDown):
            _offer_anew(row.host)
        if isinstance(error, ValidationError):
            raise NotPossible(" ".join(error.messages)) from error
        raise
    finally:
        look_soon(row.host)


def _offer_anew(host: Server) -> None:
    """Proxmox has refused something: what may be answered in its place is what is there now."""
    with suppress(ProxmoxError), open_api(host) as api:
        read_offer(api, host)


def _stop(run: Run, row: Creation, actor: Actor) -> None:
    """Undo what is not made yet, over a connection of its own: Stop has cut the other one."""
    run.log(_("Stopping: removing what was made so far."))
    row.refresh_from_db()
    try:
        with open_api(row.host) as api:
            Making(run, api, row, {}).undo()
    except ProxmoxError as error:
        _fail(row, actor, error)
        raise
    if row.made:
        _note_address(actor, row)
        _end(row, CreationState.STOPPED, _("Stopped. Container %d is created and stays.") % (row.vmid or 0))
    else:
        _end(row, CreationState.STOPPED, _("Stopped. Nothing is left of it."))


def _fail(row: Creation, actor: Actor, error: Exception) -> None:
    row.refresh_from_db()
    if isinstance(error, Refused) and error.errors:
        Creation.objects.filter(pk=row.pk).update(errors=by_form_field(error.errors))
    words = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
    if isinstance(error, RightsMissing) and not error.path:  # Proxmox then says no more than that
        words += " " + _("A create wants VM.Allocate and others; the host's access page lists what lacks.")
    if row.made:
        _note_address(actor, row)
        words = _("Container %(vmid)d is created and stays, but: %(why)s") % {"vmid": row.vmid, "why": words}
    keeps = row.made or isinstance(error, LeftOver)
    _end(row, CreationState.FAILED, words, keeps=keeps)


def _note_address(actor: Actor, row: Creation) -> None:
    """A container that stays has its address, whatever else went wrong."""
    with suppress(ValidationError):  # another server has it meanwhile; the page of addresses shows both
        first_start.into_inventory(actor, row)


def _end(row: Creation, state: CreationState, words: str, *, keeps: bool = False) -> None:
    """Write how it ended; an address is given back unless a container may have it."""
    if state != CreationState.DONE and not keeps:
        AddressClaim.objects.filter(creation=row).delete()
    Creation.objects.filter(pk=row.pk).update(state=state, why=words, ended_at=timezone.now())


def job_ended(job: Job) -> None:
    """A create whose job ended without saying so (stopped while it waited, lost, a fault of the panel)."""
    if job.work != CREATE:
        return
    for row in Creation.objects.filter(job=job, state__in=OPEN):
        stopped = job.state == JobState.STOPPED
        state = CreationState.STOPPED if stopped else CreationState.FAILED
        why = _("Stopped before it began.") if stopped and row.vmid is None else job.error
        _end(row, state, why, keeps=row.vmid is not None)


@works.register(READ_OFFER, safe_to_repeat=True, again=True)
def read(run: Run, *, host: int) -> None:
    """Read what one host offers for new containers."""
    row = Server.objects.get(pk=host)
    try:
        with open_api(row) as api:
            read_offer(api, row)
    except ProxmoxError as error:
        keep(row, words=str(error))
        raise


@works.register(OFFERS, safe_to_repeat=True)
def read_due(run: Run) -> None:
    """Read every host whose turn it is; one that cannot be read does not end the others' turn."""
    for host in due():
        run.check_stop()
        try:
            with open_api(host) as api:
                read_offer(api, host)
        except ProxmoxError as error:
            keep(host, words=str(error))
            run.log(f"{host}: {error}", "err")


def due() -> list[Server]:
    """Proxmox hosts whose offer was not tried for six hours; after a failure, for one."""
    now = timezone.now()
    old = Q(offer=None) | Q(offer__tried_at__lt=now - OFFER_EVERY)
    failed = Q(offer__tried_at__lt=now - OFFER_EVERY / 6) & ~Q(offer__words="")
    return list(Server.objects.filter(old | failed, is_proxmox=True))


def start_readings() -> None:
    """One job that reads every host whose turn it is; and creates whose job has gone are ended."""
    for row in Creation.objects.filter(Q(job=None) | Q(job__state__in=ENDED), state__in=OPEN):
        words = _("Its job has ended without a word.")
        _end(row, CreationState.FAILED, words, keeps=row.vmid is not None)
    Offer.objects.filter(host__is_proxmox=False).delete()
    if due():
        start_job(Actor.system("scheduler"), OFFERS, _("Read what hosts offer for new containers"), once=True)


def register() -> None:
    """Put it on the schedule."""
    schedule.every(OFFERS, 600, start_readings)
