"""Deletes what is old."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from fabrun.models import ScriptRun


def delete_old() -> None:
    """Delete runs that were asked for more than JOBS_KEEP_DAYS days ago: their output is gone, too."""
    ScriptRun.objects.filter(asked_at__lt=timezone.now() - timedelta(days=settings.JOBS_KEEP_DAYS)).delete()
