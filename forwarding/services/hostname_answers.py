"""Ask what answers for a hostname."""

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from forwarding.models import HostnameForward
from jobs.models import Job
from jobs.services import start_job

ANSWERS = "forwarding.what_answers_for_hostname"


@transaction.atomic
def ask_what_answers(actor: Actor, hostname: HostnameForward) -> Job:
    """Have a worker try the way of this hostname, from its destinations to the outside."""
    record(actor, "hostname.ask", hostname)
    title = _("What answers for %s") % hostname
    return start_job(actor, ANSWERS, title, {"hostname": hostname.pk}, subject=hostname, once=True)
