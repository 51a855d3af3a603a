"""News by mail: all that waits for a person in one message, plain text."""

from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.mailing import NOT_CONFIGURED, configured
from accounts.models import User
from notifications.models import Delivery, DeliveryState, waiting
from pages.hidden import shown

MOST_IN_ONE = 50


class DeliveryFailed(Exception):  # noqa: N818  # the text is a sentence for the job's page
    """A receiver could not be reached; it is tried again later."""


def mail_waiting(person: User) -> int:
    """Send what waits for this person; returns how many pieces of news. Raises DeliveryFailed."""
    news = list(waiting(person=person)[:MOST_IN_ONE])
    if not news:
        return 0
    if not person.email or not person.is_active:
        for delivery in news:
            delivery.end(DeliveryState.FAILED, _("This person has no address, or no account any more."))
        return 0
    try:
        EmailMessage(shown(_subject(news)), shown(_body(news)), to=[person.email], headers=_headers()).send()
    except (SMTPException, OSError) as error:
        Delivery.objects.filter(pk__in=[row.pk for row in news]).update(error=str(error)[:500])
        raise DeliveryFailed(_("The mail server did not take it: %s") % error) from error
    # Without a mail server it was printed, or kept in a file: nobody has it.
    end = (DeliveryState.SENT,) if configured() else (DeliveryState.FAILED, str(NOT_CONFIGURED))
    for delivery in news:
        delivery.end(*end)
    return len(news)


def _subject(news: list[Delivery]) -> str:
    if len(news) == 1:
        return f"[Gestion] {news[0].message.title}"
    count = len(news) - 1
    more = ngettext("%(title)s, and %(count)d more", "%(title)s, and %(count)d more", count)
    return "[Gestion] " + more % {"title": news[0].message.title, "count": count}


def _body(news: list[Delivery]) -> str:
    parts = []
    for delivery in news:
        message = delivery.message
        lines = [message.title, message.text.strip(), message.url]
        parts.append("\n".join(line for line in lines if line))
    why = _("You get this because you asked for it: %s") % (settings.GESTION_URL + "notifications/")
    return "\n\n".join([*parts, f"-- \n{why}\n"])


def _headers() -> dict[str, str]:
    # RFC 3834: nobody's holiday message should answer this.
    return {"Auto-Submitted": "auto-generated"}
