"""How a hostname gets its certificate by itself: order, proof on the nginx server, fetching, and failing well."""

import random
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from forwarding import acme_client
from forwarding.acme_client import Authority, Challenge
from forwarding.acme_troubles import AcmeTrouble, AuthorityAway
from forwarding.desired_acme import KIND, challenge_file
from forwarding.models import (
    AcmeAccount,
    AcmeChallenge,
    CertificateKind,
    CertificateOrder,
    HostnameForward,
    Source,
)
from forwarding.pairs import BadPair, checked_pair
from forwarding.services.certificates import NO_ORDER, keep, lock, refuse_before_its_time
from hosts import probes
from hosts.state import HttpProbe
from jobs.models import ENDED, Job
from jobs.run import Run
from servers import rollouts
from servers.models import Rollout, RolloutState, Server
from servers.rolling import RolloutFailed, roll_out

ACTOR = Actor.system("acme")
PROVE_SECONDS, FETCH_SECONDS, ROLL_SECONDS, LOOK_SECONDS = 120.0, 120.0, 60.0, 2.0
# Let's Encrypt takes five failed proofs of one name an hour; faults of others pass sooner.
FIRST_WAIT, FIRST_WAIT_AWAY, LONGEST_WAIT = timedelta(hours=1), timedelta(minutes=10), timedelta(hours=6)


class HostnameGone(Exception):  # noqa: N818 - no error: somebody deleted it meanwhile
    """The hostname is deleted, so nothing more is to be done."""


class NginxAway(AuthorityAway):
    """The proof could not be brought to the nginx server."""


def order_certificate(run: Run, hostname: HostnameForward) -> None:
    """Get a certificate for this hostname, keep it and roll it out. Raises AcmeTrouble, which is noted too,
    and OrderRefused.

    Safe to repeat at any point: an order that was begun is taken up again.
    """
    nginx = hostname.host.nginx_server
    if hostname.certificate_kind != CertificateKind.ACME or not hostname.active or nginx is None:
        run.log(_("%s does not want a certificate any more.") % hostname)
        return
    refuse_before_its_time(hostname)  # also where an old job is run again
    order = claim(hostname, run.job)
    if order is None:
        run.log(_("Another job gets the certificate of this hostname now."))
        return
    try:
        _get(run, hostname, nginx, order)
    except HostnameGone:
        run.log(_("The hostname is deleted."))
        return
    except AcmeTrouble as trouble:
        note_failure(order, trouble)
        raise
    finally:
        _take_away(hostname, nginx)
        CertificateOrder.objects.filter(pk=order.pk, job=run.job.pk).update(job=None)
    _bring(run, nginx)


def claim(hostname: HostnameForward, job: Job) -> CertificateOrder | None:
    """Take the hostname's order for this job; None if another job that has not ended has it."""
    CertificateOrder.objects.get_or_create(hostname=hostname)
    free = Q(job=None) | Q(job=job.pk) | Q(job__in=Job.objects.filter(state__in=ENDED).values("pk"))
    rows = CertificateOrder.objects.filter(hostname=hostname)
    now = timezone.now()
    # Whatever ends this try, a fault of ours as well: the next one does not come at once.
    if not rows.filter(free).update(job=job.pk, tried_at=now, next_try_at=now + FIRST_WAIT_AWAY):
        return None
    rows.exclude(domain=hostname.domain).update(**{**NO_ORDER, "next_try_at": now + FIRST_WAIT_AWAY})
    rows.update(domain=hostname.domain)
    return rows.get()


def _get(run: Run, hostname: HostnameForward, nginx: Server, order: CertificateOrder) -> None:
    with run.step(_("Ask the authority")):
        run.log(settings.ACME_DIRECTORY)
        authority = sign_in()
        if order.directory != settings.ACME_DIRECTORY or not order.key:
            order.uri, order.key = "", acme_client.new_key()
        asked = authority.order(order.domain, order.key, order.uri)
        # Before anything is made: what the authority makes from here on is found again by whoever goes on.
        begun = {"uri": asked.uri, "key": order.key, "directory": settings.ACME_DIRECTORY}
        if not CertificateOrder.objects.filter(pk=order.pk).update(**begun):
            raise HostnameGone
        challenges = authority.challenges(asked)
    if challenges:
        with run.step(_("Bring the proof to %s") % nginx):
            _lay_down(run, hostname, nginx, challenges)
            seen = _look(run, hostname, challenges)
        with run.step(_("Have the authority look")):
            for challenge in challenges:
                authority.answer(challenge)
            try:
                authority.prove(asked, run.wait, PROVE_SECONDS)
            except AcmeTrouble as trouble:
                raise type(trouble)(f"{trouble} {seen}".strip(), trouble.wait) from trouble
    with run.step(_("Fetch the certificate")):
        chain = authority.certificate(asked, run.wait, FETCH_SECONDS)
        _keep(run, hostname, order, chain)


def sign_in() -> Authority:
    """The authority of the settings, signed in with the panel's account there, which is made if there is none."""
    found = AcmeAccount.objects.get_or_create(
        directory=settings.ACME_DIRECTORY, defaults={"key": acme_client.new_key()}
    )[0]
    authority = Authority(
        found.directory, found.key, email=settings.ACME_EMAIL, ca_file=settings.ACME_CA_FILE
    )
    authority.sign_in()
    return authority


def _lay_down(run: Run, hostname: HostnameForward, nginx: Server, challenges: Sequence[Challenge]) -> None:
    with transaction.atomic():
        for one in challenges:
            try:
                challenge_file(one.token, one.content)
            except ValueError as error:
                raise AcmeTrouble(_("The authority asks for what is no proof: %s") % error) from error
            AcmeChallenge.objects.update_or_create(
                nginx=nginx, token=one.token, defaults={"hostname": hostname, "content": one.content}
            )
        rollouts.ask(ACTOR, nginx, [KIND], _("proof for %s") % hostname.shown_domain)
    wanted = Rollout.objects.get(server=nginx, kind=KIND).wanted
    try:
        roll_out(run, nginx)  # in this job: a worker whose slots are full of such jobs would wait for itself
    except RolloutFailed as failed:
        run.log(failed, "err")  # perhaps of another kind; ours is looked at here
    left = ROLL_SECONDS
    while (now := Rollout.objects.get(server=nginx, kind=KIND)).applied < wanted:
        busy = now.state in (RolloutState.WAITING, RolloutState.APPLYING) and now.retry_at is None
        if not busy or left <= 0:
            words = {"nginx": nginx, "why": now.why or now.get_state_display()}
            raise NginxAway(_("The proof could not be brought to %(nginx)s: %(why)s") % words)
        run.wait(0.5)
        left -= 0.5


def _look(run: Run, hostname: HostnameForward, challenges: Sequence[Challenge]) -> str:
    """Look as the authority will. It counts for nothing (the panel may be led elsewhere), but helps to find why."""
    one = challenges[0]
    url = f"http://{hostname.domain}/.well-known/acme-challenge/{one.token}"
    probe = HttpProbe(url, expect_body=one.content.encode(), timeout=LOOK_SECONDS)
    missed = probes.failing((probe,), LOOK_SECONDS)
    if not missed:
        run.log(_("The panel itself sees the proof at %s.") % url)
        return ""
    said = _("The panel does not see the proof there either: %s.") % missed.rpartition(": ")[2]
    run.log(f"{url}: {said}")
    return said


def _keep(run: Run, hostname: HostnameForward, order: CertificateOrder, chain: str) -> None:
    try:
        checked = checked_pair(chain, order.key, order.domain, timezone.now())
    except BadPair as bad:
        raise AcmeTrouble(_("What the authority made cannot be used: %s") % bad) from None
    with transaction.atomic():
        now = lock(hostname)
        if now is None:
            raise HostnameGone
        if now.certificate_kind != CertificateKind.ACME or now.domain != order.domain:
            run.log(_("The hostname has changed meanwhile; this certificate is not needed any more."))
            return
        stored = keep(ACTOR, now, checked, Source.ACME)
        CertificateOrder.objects.filter(pk=order.pk).update(**NO_ORDER)
    run.log(_("From %(issuer)s, good until %(day)s.") % {"issuer": stored.issuer, "day": stored.not_after})


def note_failure(order: CertificateOrder, trouble: AcmeTrouble) -> None:
    """Write down why it failed and when to try again: later each time, and not before the authority allows."""
    now = timezone.now()
    fresh = CertificateOrder.objects.filter(pk=order.pk).first()
    if fresh is None:
        return
    order = fresh
    first = FIRST_WAIT_AWAY if isinstance(trouble, AuthorityAway) else FIRST_WAIT
    wait = min(first * 2 ** min(order.failures, 8), LONGEST_WAIT) * random.uniform(0.9, 1.1)  # noqa: S311
    CertificateOrder.objects.filter(pk=order.pk).update(
        failures=order.failures + 1,
        failing_since=order.failing_since or now,
        trouble=str(trouble),
        next_try_at=now + max(wait, trouble.wait),
        not_before=now + trouble.wait if trouble.wait else None,
    )


def _take_away(hostname: HostnameForward, nginx: Server) -> None:
    """The proof is of no use any more, whatever came of it."""
    with transaction.atomic():
        gone = not HostnameForward.objects.filter(pk=hostname.pk).exists()  # and its rows with it
        if AcmeChallenge.objects.filter(hostname=hostname.pk).delete()[0] or gone:
            rollouts.ask(ACTOR, nginx, [KIND], _("proof of %s is over") % hostname.shown_domain)


def _bring(run: Run, nginx: Server) -> None:
    """Roll the certificate out at once; where that fails, the rollout itself tells and tries again."""
    try:
        roll_out(run, nginx)
    except RolloutFailed as failed:
        run.log(failed, "err")
