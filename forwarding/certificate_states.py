"""How a hostname's certificate stands, for pages and alarms: in a word, a colour and a sentence."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from forwarding.models import CertificateKind, CertificateOrder, HostnameForward, StoredCertificate

# Of a certificate that nobody renews by himself: from when on it is shown in colour.
SOON, VERY_SOON = timedelta(days=21), timedelta(days=7)


@dataclass(frozen=True)
class Standing:
    """`level` is ok, warning, danger, or none (plain HTTP); `sentence` is empty where nothing is wrong."""

    level: str
    word: str
    sentence: str = ""
    last_day: datetime | None = None


def standing(hostname: HostnameForward) -> Standing:
    """How it stands. Wants hostnames of models.with_certificates, or asks for each."""
    if hostname.certificate_kind == CertificateKind.PATHS:
        return _of_paths(hostname)
    stored = getattr(hostname, "stored_certificate", None)
    if hostname.certificate_kind == CertificateKind.UPLOADED:
        return _of_stored(hostname, stored) if stored else _missing(hostname)
    if hostname.certificate_kind == CertificateKind.ACME:
        return _of_acme(hostname, stored)
    return Standing("none", _("none"))


def _of_paths(hostname: HostnameForward) -> Standing:
    reading = getattr(hostname, "certificate_reading", None)
    if reading is None or reading.certificate_path != hostname.certificate_path:
        return Standing("warning", _("not read yet"))
    if reading.trouble:
        text = _("The certificate of %(name)s on its nginx server: %(why)s")
        words = {"name": hostname.shown_domain, "why": reading.trouble}
        return Standing("danger", _("not usable"), text % words, reading.not_after)
    return _by_day(hostname, reading.not_after, None)


def _missing(hostname: HostnameForward) -> Standing:
    text = _("%s waits for its certificate: upload one.") % hostname.shown_domain
    return Standing("warning", _("not uploaded yet"), text)


def _of_stored(hostname: HostnameForward, stored: StoredCertificate) -> Standing:
    if not stored.is_for(hostname.domain):
        text = _("The certificate of %(name)s is for other names (%(names)s), so it is served without.")
        words = {"name": hostname.shown_domain, "names": ", ".join(stored.names[:3])}
        return Standing("danger", _("for other names"), text % words, stored.not_after)
    return _by_day(hostname, stored.not_after, stored.renew_at)


def _of_acme(hostname: HostnameForward, stored: StoredCertificate | None) -> Standing:
    order: CertificateOrder | None = getattr(hostname, "certificate_order", None)
    why = order.trouble if order else ""
    words = {"name": hostname.shown_domain, "why": why}
    if stored is None or not stored.is_for(hostname.domain):
        if why:
            return Standing("danger", _("none yet"), _("%(name)s gets no certificate: %(why)s") % words)
        return Standing("warning", _("being ordered"))
    found = _by_day(hostname, stored.not_after, stored.renew_at)
    if not why:
        return found
    text = _("The certificate of %(name)s could not be renewed, it ends on %(day)s: %(why)s")
    sentence = text % {**words, "day": _day(stored.not_after)}
    level = "danger" if found.level == "danger" else "warning"
    return Standing(level, found.word, sentence, stored.not_after)


def _by_day(hostname: HostnameForward, last_day: datetime | None, renew_at: datetime | None) -> Standing:
    if last_day is None:
        return Standing("danger", _("not usable"))
    level, now = day_level(last_day, renew_at), timezone.now()
    words = {"name": hostname.shown_domain, "day": _day(last_day)}
    if last_day <= now:
        text = _("The certificate of %(name)s ended on %(day)s: visitors see a warning.") % words
        return Standing("danger", _("ended"), text, last_day)
    days = (last_day - now).days
    word = ngettext("%d day left", "%d days left", days) % days
    text = "" if level == "ok" else _("The certificate of %(name)s ends on %(day)s.") % words
    return Standing(level, word, text, last_day)


def day_level(last_day: datetime, renew_at: datetime | None) -> str:
    """The colour of a last day: ok, warning, danger.

    One that renews itself is nobody's business until its renewal is overdue: the colours come when a third,
    and two thirds, of the time between renewal and end have gone.
    """
    now = timezone.now()
    soon, very_soon = last_day - SOON, last_day - VERY_SOON
    if renew_at is not None and renew_at < last_day:
        soon, very_soon = (renew_at + (last_day - renew_at) * part / 3 for part in (1, 2))
    if now >= very_soon:
        return "danger"
    return "warning" if now >= soon else "ok"


def _day(moment: datetime | None) -> str:
    return formats.date_format(timezone.localtime(moment), "Y-m-d") if moment else "?"
