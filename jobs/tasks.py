"""The Celery messages of the panel, and the built-in work that proves that a worker works."""

from celery import shared_task

from jobs.run import Run
from jobs.works import NOTHING, register


class WorkerCheckFailedError(Exception):
    """The check was asked to fail."""


@shared_task(name="jobs.run_job", ignore_result=True)
def run_job(job_id: int) -> None:
    """A job waits: carry it out."""
    from jobs.execute import work_off

    work_off(job_id)


@shared_task(name="jobs.tick", ignore_result=True)
def tick() -> None:
    """The scheduler's only message: look what is due."""
    from jobs.upkeep import look_after

    look_after()


@register("jobs.check", safe_to_repeat=True, retry_on=(WorkerCheckFailedError,), again=True, touches=NOTHING)
def check(run: Run, *, seconds: float = 2.0, lines: int = 3, fail: bool = False) -> None:
    """Log some lines over some seconds, with steps and progress; fail at the end if told to."""
    with run.step("Say hello"):
        run.log(f"The worker {run.job.worker} has the job.")
    with run.step("Count"):
        for number in range(1, lines + 1):
            run.wait(seconds / max(lines, 1))
            run.log(f"line {number} of {lines}", "out")
            run.progress(number, lines)
    if fail:
        raise WorkerCheckFailedError("The check was asked to fail, and did.")
