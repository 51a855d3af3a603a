"""The works by which news go out, and what happens to those that could not be delivered for a day."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from jobs.models import Job, JobState
from jobs.run import Run
from jobs.works import expect, register
from notifications.mailing import DeliveryFailed, mail_waiting
from notifications.models import DeliveryState, Message, Webhook, waiting
from notifications.posting import post_waiting
from notifications.registry import Topic
from notifications.telling import MAIL_WORK, POST_WORK, tell

expect(DeliveryFailed)
JOB_FAILED = Topic("jobs.failed", _("A job failed, or its worker died"), order=10)


@register(MAIL_WORK, safe_to_repeat=True, retry_on=(DeliveryFailed,))
def mail(run: Run, *, person: int) -> None:
    """Send a person what waits."""
    found = User.objects.filter(pk=person).first()
    if found:
        run.log(f"{mail_waiting(found)} sent")


@register(POST_WORK, safe_to_repeat=True, retry_on=(DeliveryFailed,))
def post(run: Run, *, webhook: int) -> None:
    """Post to a web hook what waits."""
    found = Webhook.objects.filter(pk=webhook).first()
    if found:
        run.log(f"{post_waiting(found)} sent")


def job_in_trouble(job: Job) -> None:
    """A job has failed for good: tell of it. Of a failed delivery nobody is told in the same way."""
    if job.work == MAIL_WORK:
        _give_up(job, person_id=job.args["person"])
    elif job.work == POST_WORK:
        _give_up(job, webhook_id=job.args["webhook"])
    else:
        tell(
            JOB_FAILED.name,
            f"{job.title}: {job.get_state_display()}",
            job.error,
            path=job.get_absolute_url(),
            may_see=lambda person: Job.objects.visible_to(person).filter(pk=job.pk).exists(),
        )


def _give_up(job: Job, **receiver: int) -> None:
    if job.state == JobState.FAILED:
        rows = waiting(**receiver).filter(message__at__lt=job.created_at + timedelta(seconds=60))
        rows.order_by().update(state=DeliveryState.FAILED, ended_at=timezone.now())


def delete_old() -> None:
    """Delete news that are older than JOBS_KEEP_DAYS days."""
    Message.objects.filter(at__lt=timezone.now() - timedelta(days=settings.JOBS_KEEP_DAYS)).delete()
