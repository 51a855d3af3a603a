"""The works of this room."""

from django.utils.translation import gettext as _

from accounts import mailing
from accounts.models import User
from jobs.run import Run
from jobs.works import NOTHING, expect, register

expect(mailing.MailFailed)


@register(mailing.LINK_WORK, safe_to_repeat=True, retry_on=(mailing.MailFailed,), touches=NOTHING)
def mail_link(run: Run, *, person: int, why: str) -> None:
    """Send a person a link by which to set a password."""
    user = User.objects.filter(pk=person, is_active=True).first()
    if user and user.email:
        mailing.mail_link(user, why)
        run.log(_("Sent."))


@register(mailing.ASKED_WORK, safe_to_repeat=True, retry_on=(mailing.MailFailed,), touches=NOTHING)
def mail_asked_link(run: Run, *, email: str) -> None:
    """Send whoever has this address a link by which to set a password."""
    found = list(User.objects.filter(email__iexact=email, is_active=True)[:5])
    for user in found:
        mailing.mail_link(user, "reset")
    run.log(_("Sent.") if found else _("Nobody who may sign in has this address."))


@register(mailing.NEWS_WORK, safe_to_repeat=True, retry_on=(mailing.MailFailed,), touches=NOTHING)
def mail_news(run: Run, *, person: int, what: str, to: str = "") -> None:
    """Tell a person of a change to the account, at the address that it had where one is given."""
    user = User.objects.filter(pk=person).first()
    if user and (to or user.email):
        mailing.mail_news(user, what, to)
        run.log(_("Sent."))
