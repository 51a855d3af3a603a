"""What can be done with the repositories: take a call, pull, give another secret or branch."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.actors import Actor
from accounts.audit import record, record_change
from accounts.shared_secrets import fresh_secret
from githooks.models import Call, Pull, Repository
from githooks.pulling import checked_out, folder_of
from jobs.models import Job
from jobs.services import start_job

WORK = "githooks.pull"
IGNORED = "ignored push"  # of another branch than the one that was followed when it came
KEEP_CALLS = timedelta(days=400)  # as long, nobody can send again what he saw


class SeenBefore(Exception):  # noqa: N818  # a refusal
    """This very call was accepted once already, and pulled."""


@transaction.atomic
def set_up(actor: Actor, key: str) -> tuple[Repository, bool]:
    """Give a repository of GIT_REPOS its secret, unless it has one; before that, no call of it is accepted."""
    row, made = Repository.objects.get_or_create(key=key)
    if made:
        record(actor, "repository.create", row)
    return row, made


def not_set_up() -> list[str]:
    """Those of GIT_REPOS that have no secret yet."""
    known = set(Repository.objects.values_list("key", flat=True))
    return sorted(set(settings.GIT_REPOS) - known)


def accept_call(
    actor: Actor, repository: Repository, body: bytes, *, sender: str, event: str, refs: Sequence[str]
) -> Job | None:
    """Note a proven call, and pull if it is about the expected branch; None if it is not.

    One that is sent again pulls only while nothing has come of it. Raises SeenBefore. Where the folder cannot say
    which branch it follows, any branch is pulled: so that it fails, with the reason, and is told.
    """
    # It asks git, which may take its time: not while others wait for the database.
    expected = expected_ref(repository) if event == "push" else ""
    first = next(iter(refs), "")
    wanted = expected in refs if expected else event == "push" and first.startswith("refs/heads/")
    ref = ((expected or first) if wanted else first)[:250]
    kept = IGNORED if event == "push" and not wanted else event[:60]
    with transaction.atomic():
        call, fresh = Call.objects.get_or_create(
            repository=repository,
            digest=hashlib.sha256(body).hexdigest(),
            defaults={"address": actor.address, "sender": sender, "event": kept, "ref": ref},
        )
        if not wanted:
            return None
        if call.event == IGNORED:
            Call.objects.filter(pk=call.pk).update(event=event, ref=ref, at=timezone.now())
        elif not fresh and _brought(repository, call):
            raise SeenBefore
        record(actor, "repository.hook", repository, after={"sender": sender, "ref": ref})
        return _start(actor, repository)


def _brought(repository: Repository, call: Call) -> bool:
    """Whether the last pull is younger than the call, and none that failed."""
    last = repository.pulls.first()
    return last is not None and last.at >= call.at and not last.error


def expected_ref(repository: Repository) -> str:
    """The ref that we follow; empty while that is none."""
    folder = folder_of(repository)
    wanted = repository.branch or (checked_out(folder) if folder else "")
    return f"refs/heads/{wanted}" if wanted else ""


@transaction.atomic
def pull_now(actor: Actor, repository: Repository) -> Job:
    """Pull without being called: to try it."""
    record(actor, "repository.pull", repository)
    return _start(actor, repository)


def _start(actor: Actor, repository: Repository) -> Job:
    title = f"Pull {repository.key}"
    return start_job(actor, WORK, title, {"repository": repository.pk}, subject=repository, once=True)


@transaction.atomic
def change_branch(actor: Actor, repository: Repository, branch: str) -> Repository:
    """Follow another branch; empty: the one that is checked out."""
    row = Repository.objects.select_for_update().get(pk=repository.pk)
    before = {"branch": row.branch}
    row.branch = branch
    row.save(update_fields=["branch"])
    record_change(actor, "repository.change", row, before, {"branch": branch})
    return row


@transaction.atomic
def renew_secret(actor: Actor, repository: Repository) -> Repository:
    """Another secret; calls with the old one are refused at once."""
    row = Repository.objects.select_for_update().get(pk=repository.pk)
    row.secret = fresh_secret()
    row.save(update_fields=["secret"])
    record(actor, "repository.renew_secret", row)
    return row


def delete_old() -> None:
    """Delete calls that nobody could send again any more, and old pulls."""
    Call.objects.filter(at__lt=timezone.now() - KEEP_CALLS).delete()
    Pull.objects.filter(at__lt=timezone.now() - timedelta(days=settings.JOBS_KEEP_DAYS)).delete()
