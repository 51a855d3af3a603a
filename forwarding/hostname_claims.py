"""Names and ports of nginx servers: what a hostname claims, and what others have already."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from forwarding.models import HostnameClaim, HostnameForward
from pages.names import both_spellings
from servers.models import Server


def claims_of(hostname: HostnameForward, nginx: Server) -> list[HostnameClaim]:
    """The (unsaved) claims that a hostname needs on this nginx server."""
    ports = [(hostname.port, False), (hostname.https_port, True)][: 2 if hostname.wants_tls else 1]
    domains = [hostname.domain, ""] if hostname.is_default else [hostname.domain]
    return [
        HostnameClaim(hostname=hostname, nginx=nginx, domain=domain, port=port, tls=tls)
        for port, tls in ports
        for domain in domains
    ]


def taken(hostname: HostnameForward, nginx: Server) -> Iterator[tuple[str, Any]]:
    """Names and ports of the nginx server that other hostnames have already."""
    others = HostnameClaim.objects.filter(nginx=nginx).exclude(hostname=hostname.pk)
    for claim in claims_of(hostname, nginx):
        field = "https_port" if claim.tls else "port"
        twin = others.filter(domain=claim.domain, port=claim.port).select_related("hostname").first()
        other = others.filter(port=claim.port).exclude(tls=claim.tls).first()
        words = {"port": claim.port, "nginx": nginx}
        if twin is not None and claim.domain:
            text = _("%(domain)s is on port %(port)s of %(nginx)s already.")
            yield "domain", text % {**words, "domain": both_spellings(claim.domain)}
        elif twin is not None:
            text = _("%(twin)s is the default redirect of port %(port)s already.")
            yield "is_default", text % {**words, "twin": twin.hostname}
        elif other is not None and claim.domain:
            is_tls = _("Port %(port)s of %(nginx)s is for HTTPS already.") % words
            is_plain = _("Port %(port)s of %(nginx)s is for HTTP already.") % words
            yield field, is_tls if other.tls else is_plain


def claim(hostname: HostnameForward, nginx: Server) -> None:
    """Claim exactly the hostname's names and ports; the database refuses what another one has.

    Call it in the transaction that saves the hostname. Raises ValidationError.
    """
    hostname.claims.all().delete()
    try:
        with transaction.atomic():
            HostnameClaim.objects.bulk_create(claims_of(hostname, nginx))
    except IntegrityError as error:
        text = _("Another hostname has this name and port on %s already.") % nginx
        raise ValidationError({"domain": text}) from error
