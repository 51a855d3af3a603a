"""What certificates show on the pages of others, and the kind of rollout of their proofs."""

from collections.abc import Iterable

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.permissions import user_of
from forwarding.certificate_states import Standing, standing
from forwarding.desired_acme import KIND, desired
from forwarding.models import CertificateKind, HostnameForward, with_certificates
from pages.registry import Card, Notice, Section
from servers.registry import RolloutKind, ServerPart

BY_NAME = 5
NEXT = 3  # that end next, by name on the dashboard


def _standings(request: HttpRequest) -> list[tuple[HostnameForward, Standing]]:
    """The active hostnames that have a certificate or should; asked for once a request."""
    found: list[tuple[HostnameForward, Standing]] | None = getattr(request, "_certificates", None)
    if found is None:
        rows = HostnameForward.objects.visible_to(user_of(request)).filter(active=True)
        wanting = rows.exclude(certificate_kind=CertificateKind.NONE)
        found = [(row, standing(row)) for row in with_certificates(wanting)]
        request._certificates = found  # type: ignore[attr-defined]
    return found


def card(request: HttpRequest) -> Card | None:
    """How many there are, how they stand, and which end next."""
    found = _standings(request)
    if not found:
        return None
    levels = [("ok", _("good")), ("warning", _("to watch")), ("danger", _("broken"))]
    counts = [(level, word, sum(one.level == level for _row, one in found)) for level, word in levels]
    ending = sorted((one.last_day, row.pk, row, one) for row, one in found if one.last_day)
    context = {
        "total": len(found),
        "counts": [(level, word, count) for level, word, count in counts if count],
        "ending": [(row, one) for _day, _pk, row, one in ending[:NEXT]],
    }
    return Card("forwarding/_certificates_card.html", context, order=40)


def attention(request: HttpRequest) -> Iterable[Notice]:
    """Those that visitors miss already, then those that will be missed."""
    for level in ("danger", "warning"):
        bad = [(row, one) for row, one in _standings(request) if one.level == level and one.sentence]
        for row, one in bad[:BY_NAME]:
            yield Notice(level, one.sentence, reverse("forwarding:certificate", args=[row.pk]))
        if len(bad) > BY_NAME:
            count = len(bad) - BY_NAME
            text = ngettext("and %d more certificate", "and %d more certificates", count) % count
            yield Notice(level, text, f"{reverse('forwarding:hostnames')}?sort=certificate")


section = Section("certificates", card=card, attention=attention)

# After the hostnames themselves, which serve the proofs.
server_part = ServerPart(
    "certificates",
    kinds=(RolloutKind(KIND, _("Proofs for certificates (ACME)"), desired, order=35, needs_admin=True),),
)
