"""Mail about accounts: links that set a password, and word of changes to how a person signs in.

Mails go out by jobs, which know persons by number: no link is ever in the database, in a log or with the broker.
"""

from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.actors import Actor
from accounts.models import User
from accounts.password_links import fresh_link
from accounts.tries import Limit, hidden
from jobs.services import start_job
from jobs.works import Retry
from pages.hidden import shown

LINK_WORK = "accounts.mail_link"
ASKED_WORK = "accounts.mail_asked_link"
NEWS_WORK = "accounts.mail_news"
NOT_SENDING = ("console", "dummy", "filebased")
NOT_CONFIGURED = gettext_lazy("This panel cannot send mail: EMAIL_URL is not set.")
BY_MAIL = Limit("mail", 3, 3600)  # links that one mail address can be asked for

LINKS: dict[str, tuple[Any, Any]] = {
    "reset": (
        gettext_lazy("Your new password for Gestion"),
        gettext_lazy("Somebody, probably you, asked for a new password. Set it here, within an hour:"),
    ),
    "invite": (
        gettext_lazy("Your account on Gestion"),
        gettext_lazy("You have an account here now. Set your password, within three days:"),
    ),
}
NEWS: dict[str, Any] = {
    "password_changed": gettext_lazy(
        "Your password was changed. Sessions elsewhere and all API tokens have ended with it."
    ),
    "email_changed": gettext_lazy(
        "The mail address of your account was changed. Mail about it does not come to this address any more."
    ),
    "token_made": gettext_lazy(
        "A new API token was made for your account. Your profile lists them, with what each was used for last."
    ),
    "key_added": gettext_lazy("An SSH key was added to your account. Your profile lists them."),
    "two_factor_on": gettext_lazy("Two-factor sign-in was turned on."),
    "two_factor_off": gettext_lazy("Two-factor sign-in was turned off."),
    "two_factor_reset": gettext_lazy(
        "An admin reset your two-factor sign-in and ended your sessions. Set it up again after you signed in."
    ),
    "recovery_code_used": gettext_lazy("One of your recovery codes was used to sign in."),
}


class MailFailed(Exception):  # noqa: N818  # the text is a sentence for the job's page
    """The mail server could not be reached, or refused; it is tried again."""


def configured() -> bool:
    """Whether the panel can send mail (EMAIL_URL)."""
    return settings.EMAIL_BACKEND.split(".")[-2] not in NOT_SENDING


def send_link(actor: Actor, user: User, why: str) -> None:
    """Send a person a link by which to set a password."""
    title = _("Mail %s a link to set a password") % user
    start_job(actor, LINK_WORK, title, {"person": user.pk, "why": why}, subject=user, retry=Retry(60, 2))


def ask_link(actor: Actor, email: str) -> None:
    """Somebody who may be anybody asks for a link: it is sent if the address is a person's.

    Nothing here looks whether it is, so that nothing tells. An address gets three an hour.
    """
    key = hidden(email.lower())
    if BY_MAIL.left(key):
        return
    BY_MAIL.note(key)
    start_job(actor, ASKED_WORK, _("A new password was asked for"), {"email": email})


def tell(actor: Actor, user: User, what: str, *, to: str = "") -> None:
    """Tell a person of a change to how they sign in, where mail is configured; `to` is an earlier address."""
    if configured() and (to or user.email):
        title = _("Mail %s about the account") % user
        args = {"person": user.pk, "what": what, **({"to": to} if to else {})}
        start_job(actor, NEWS_WORK, title, args, subject=user, retry=Retry(60, 2))


def mail_link(user: User, why: str) -> None:
    """Send it now. Raises MailFailed."""
    subject, words = LINKS[why]
    name = _("Your user name is %s.") % user.username
    ignore = _("If you do not know what this is about, do nothing: without the link nothing changes.")
    _send(user, subject, "\n\n".join([str(words), fresh_link(user, why), name, ignore]))


def mail_news(user: User, what: str, to: str = "") -> None:
    """Send it now. Raises MailFailed."""
    words = str(NEWS[what])
    name = _("Your user name is %s.") % user.username
    help_ = _("If it was not you, tell an admin of the panel at once: %s") % settings.GESTION_URL
    can = _("An admin can end sessions, API tokens and SSH keys, and set address and password right again.")
    text = "\n\n".join([words, name, f"{help_}\n{can}"])
    _send(user, words.split(".", maxsplit=1)[0], text, to)


def _send(user: User, subject: Any, text: str, to: str = "") -> None:
    # RFC 3834: nobody's holiday message should answer this.
    headers = {"Auto-Submitted": "auto-generated"}
    try:
        EmailMessage(
            f"[Gestion] {shown(str(subject))}", f"{shown(text)}\n", to=[to or user.email], headers=headers
        ).send()
    except (SMTPException, OSError) as error:
        raise MailFailed(_("The mail server did not take it: %s") % error) from error
