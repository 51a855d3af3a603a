"""The first Fabric script, and the fetching of keys."""

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from fabrun.models import ScriptRun
from fabrun.services import run_script
from jobs.models import Job, JobState
from keymanager.desired import KIND
from keymanager.fetch_states import fetch_states
from keymanager.fetching import fetch_now, forget_machine, install, uninstall
from keymanager.models import FetchToken
from wizards.create_vm import choices
from wizards.create_vm.common import rolled_out, server_if_there, server_of
from wizards.create_vm.task_container import is_there
from wizards.declare import Data, Later, Refused, TaskRun

SCRIPT_SECONDS = 1800


def wanted(data: Data) -> bool:
    """Whether this part is switched on."""
    return bool(data.get("setup"))


def says(data: Data) -> str:
    """The line of the plan."""
    if not wanted(data):
        return _("Run a script on it")
    given = (data.get("script_arguments") or "").split()
    words = " ".join([*given, "keys=no"] if choices.leaves_keys(data) else given)
    return _("Run the script %(script)s on it") % data + (f" ({words})" if words else "")


def do(task: TaskRun) -> Later | None:
    """Run it; one that has failed is run again when the run is resumed, as it is answered by then."""
    if not wanted(task.data):
        return None
    run = ScriptRun.objects.filter(pk=task.facts.get("script_run") or 0).first()
    part = run.parts.select_related("job").first() if run else None
    if part is not None and part.state == JobState.DONE:
        return None
    if part is not None and part.job is not None and not part.job.ended:
        return Later(job=part.job, why=_("The script runs."))
    if part is not None and not task.facts.get("told"):
        task.save(told=True)
        raise Refused(part.job.error if part.job and part.job.error else _("The script did not end well."))
    arguments = choices.script_arguments(task.data["script"], task.data.get("script_arguments") or "")
    if choices.leaves_keys(task.data):
        arguments["keys"] = False
    with transaction.atomic():
        run = run_script(
            task.actor, task.data["script"], [server_of(task)], arguments=arguments, seconds=SCRIPT_SECONDS
        )
        task.save(script_run=run.pk, told=False)
    return Later(job=run.parts.get().job, why=_("The script runs."))


def wanted_keys(data: Data) -> bool:
    """Whether this part is switched on."""
    return bool(data.get("fetch_keys"))


def says_keys(data: Data) -> str:
    """The line of the plan."""
    return _("It fetches its keys from here, at once and then every hour")


def do_keys(task: TaskRun) -> Later | None:
    """Have the fetching rolled out, and wait until it has fetched what it should hold."""
    server = server_of(task)
    if "had_token" not in task.facts:
        with transaction.atomic():
            before = task.results.get("server", {}).get("fetched")  # the script before this sets it up, too
            had = FetchToken.objects.filter(server=server).exists() if before is None else before
            task.save(had_token=had)
            install(task.actor, server)
    if later := rolled_out(task, server, KIND):
        return later
    state = fetch_states([server])[server.pk]
    if state.up_to_date:
        if state.report and state.report.problem:  # a note, as of a unix user that is not there yet
            task.log(state.report.problem)
        return None
    job = Job.objects.filter(pk=task.facts.get("fetch") or 0).first()
    if job is not None and not job.ended:
        return Later(job=job, why=_("It fetches its keys."))
    if job is not None and job.state == JobState.DONE and _just(job):
        return Later(seconds=0.5, why=_("Its word that it has them is on the way."))
    if job is not None and not task.facts.get("told"):
        task.save(told=True)
        raise Refused(job.error or _("It did not fetch its keys."))
    with transaction.atomic():
        job = fetch_now(task.actor, [server])
        task.save(fetch=job.pk, told=False)
    return Later(job=job, why=_("It fetches its keys."))


def _just(job: Job) -> bool:
    """Whether it ended so lately that what the server said may not be written yet."""
    return job.ended_at is not None and (timezone.now() - job.ended_at).total_seconds() < 10


def undo_keys(task: TaskRun) -> Later | None:
    """It fetches no more; its token ends. In a container that goes, nothing has to be taken away."""
    server = server_if_there(task)
    if server is None or task.facts.get("had_token", True):
        return None
    if task.data.get("make_container"):
        if is_there(task.data, task.results):
            forget_machine(task.actor, server)
        return None
    if FetchToken.objects.filter(server=server).exists():
        uninstall(task.actor, server)
    return rolled_out(task, server, KIND)


def undo_says_keys(data: Data, results: Mapping[str, Data]) -> str:
    """What an undo does."""
    made = results.get("server", {}).get("made")
    if results.get("keys", {}).get("had_token") and not made:
        return _("It is to fetch its keys, as it was before")
    if data.get("make_container") and not made and not is_there(data, results):
        return _("Its fetching of keys stays as it is: the container is there no more, and another may be")
    return _("It fetches no keys any more")
