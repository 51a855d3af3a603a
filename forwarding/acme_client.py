"""A certificate authority that speaks ACME (RFC 8555), by certbot's own library; knows no rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils.translation import gettext as _
from josepy import ES256, JWKEC

from forwarding.acme_troubles import (
    FROM_LIBRARY,
    SAID,
    AcmeTrouble,
    AuthorityAway,
    said_by,
    status_of,
    translated,
)
from hosts.bounds import MIB, tls_context
from hosts.outgoing import BoundedAdapter, bind

AGENT = "Gestion"
SECONDS = 20  # to connect, and between two pieces of an answer
LONGEST = 60.0  # seconds for one answer in all
ANSWER_BYTES = MIB  # of one answer, its head included; a chain of certificates is some KiB
PAUSE = 1.0
NONCES = 4

Wait = Callable[[float], None]  # jobs.run.Run.wait


@dataclass(frozen=True)
class Challenge:
    """What the authority wants to read under http://DOMAIN/.well-known/acme-challenge/TOKEN."""

    token: str
    content: str
    body: messages.ChallengeBody = field(repr=False)

    @property
    def asked(self) -> bool:
        """Whether the authority has been told already that it may look."""
        return self.body.status != messages.STATUS_PENDING


def new_key() -> str:
    """A private key (ECDSA P-256) for an account or a certificate, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


def _request_for(key_pem: str, domain: str) -> bytes:
    """A certificate signing request; names are in the extension alone, as RFC 8555 allows."""
    key = cast("ec.EllipticCurvePrivateKey", serialization.load_pem_private_key(key_pem.encode(), None))
    names = x509.SubjectAlternativeName([x509.DNSName(domain)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    made = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


class _Network(client.ClientNetwork):
    """The library's own tries a refused nonce only once more; a busy authority refuses several."""

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        for _more in range(NONCES - 1):
            try:
                return super().post(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*args, **kwargs)


class Authority:
    """One authority, spoken to with one account's key. Every method raises AcmeTrouble."""

    def __init__(self, directory: str, account_key: str, *, email: str = "", ca_file: str = "") -> None:
        self.directory = directory
        self._email = email
        self._key = JWKEC.load(account_key.encode())
        network = _Network(self._key, alg=ES256, user_agent=AGENT, timeout=SECONDS)
        # Certificates are trusted as the library would: by ca_file alone, where there is one.
        adapter = BoundedAdapter(ANSWER_BYTES, LONGEST, context=tls_context(system=False))
        bind(network.session, adapter)  # no redirects: what an account signs is for one authority
        if ca_file:
            network.verify_ssl = ca_file  # type: ignore[assignment]  # requests takes a file as well
        network.session.hooks["response"].append(self._note_wait)
        self._network = network
        self._wait = timedelta(0)
        self._client: client.ClientV2 | None = None

    def sign_in(self) -> str:
        """Open the account, or find it: its URL. Agrees to the authority's terms. Safe to repeat."""
        with self._speaking():
            found = client.ClientV2.get_directory(self.directory, self._network)
            self._client = client.ClientV2(found, self._network)
            if self._client.external_account_required():
                raise AcmeTrouble(
                    _("%s wants accounts that are opened at its own site. Gestion cannot use it.")
                    % self.directory
                )
            contact = (f"mailto:{self._email}",) if self._email else ()
            wanted = messages.NewRegistration(contact=contact, terms_of_service_agreed=True)
            try:
                return str(self._client.new_account(wanted).uri)
            except errors.ConflictError as known:  # so the library says that the account was there
                self._network.account = messages.RegistrationResource(
                    uri=known.location, body=messages.Registration()
                )
                return known.location

    @property
    def _acme(self) -> client.ClientV2:
        if self._client is None:
            raise RuntimeError("sign_in comes first")
        return self._client

    def order(self, domain: str, key_pem: str, uri: str = "") -> messages.OrderResource:
        """The order at `uri` if it can still become a certificate for this key, else a new one."""
        request = _request_for(key_pem, domain)
        with self._speaking():
            found = self._found(uri, domain, request) if uri else None
            return found or self._acme.new_order(request)

    def _found(self, uri: str, domain: str, request: bytes) -> messages.OrderResource | None:
        try:
            nonce_url = self._acme.directory["newNonce"]
            answer = self._network.post(uri, None, new_nonce_url=nonce_url)
            body = messages.Order.from_json(answer.json())
            name = messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=domain)
            if body.status == messages.STATUS_INVALID or tuple(body.identifiers) != (name,):
                return None
            asked = [
                messages.AuthorizationResource(uri=url, body=messages.Authorization(identifier=name))
                for url in body.authorizations
            ]
            found = [self._acme.poll(one)[0] for one in asked]
        except messages.Error as error:
            if error.code in ("rateLimited", "serverInternal"):
                raise
            return None  # the authority has forgotten it
        except errors.ClientError as error:
            if status_of(error) not in (403, 404, 410):
                raise
            return None
        return messages.OrderResource(body=body, uri=uri, authorizations=found, csr_pem=request)

    def challenges(self, order: messages.OrderResource) -> list[Challenge]:
        """What has to be answered before the order goes on; nothing where that is proved already."""
        found = []
        for one in order.authorizations:
            if one.body.status != messages.STATUS_PENDING:
                continue
            offered = [body for body in one.body.challenges if isinstance(body.chall, challenges.HTTP01)]
            if not offered:
                raise AcmeTrouble(_("%s offers no proof by HTTP (HTTP-01) for this name.") % self.directory)
            chall = offered[0].chall
            found.append(Challenge(chall.encode("token"), chall.validation(self._key), offered[0]))
        return found

    def answer(self, challenge: Challenge) -> None:
        """Tell the authority that it may look now."""
        if not challenge.asked:
            with self._speaking():
                self._acme.answer_challenge(challenge.body, challenge.body.chall.response(self._key))

    def prove(self, order: messages.OrderResource, wait: Wait, seconds: float) -> None:
        """Wait until the authority has looked; AcmeTrouble with its words if it did not like what it saw."""
        for one in order.authorizations:
            left = seconds
            with self._speaking():
                while (found := self._acme.poll(one)[0]).body.status == messages.STATUS_PENDING:
                    if left <= 0:
                        raise AuthorityAway(_("%s did not look in time.") % self.directory)
                    wait(PAUSE)
                    left -= PAUSE
            if found.body.status != messages.STATUS_VALID:
                raise AcmeTrouble(self._refusal(found))

    def _refusal(self, authorization: messages.AuthorizationResource) -> str:
        said = [said_by(body.error) for body in authorization.body.challenges if body.error]
        return _("The authority could not see for itself that %(domain)s leads here. It says: %(said)s.") % {
            "domain": authorization.body.identifier.value,
            "said": ("; ".join(said)[:SAID] or authorization.body.status.name).rstrip("."),
        }

    def certificate(self, order: messages.OrderResource, wait: Wait, seconds: float) -> str:
        """Have the certificate made, if it is not made yet, and fetch it with its chain, as PEM."""
        end = datetime.now(UTC) + timedelta(seconds=seconds)
        while datetime.now(UTC) < end:
            wait(0)
            soon = datetime.now() + timedelta(seconds=5)  # noqa: DTZ005  # the library's own clock
            try:
                with self._speaking():
                    return str(self._acme.poll_finalization(order, soon).fullchain_pem)
            except errors.TimeoutError:
                continue
        raise AuthorityAway(_("%s did not make the certificate in time.") % self.directory)

    def _note_wait(self, response: requests.Response, *_args: Any, **_options: Any) -> None:
        """Remember how long an answer that refuses says to wait; the library drops it."""
        self._wait = timedelta(0)
        if response.status_code in (429, 503) and "Retry-After" in response.headers:
            until = client.ClientV2.retry_after(response, 0)
            self._wait = until - datetime.now()  # noqa: DTZ005  # the library's own clock

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """What goes wrong meanwhile becomes AcmeTrouble."""
        self._wait = timedelta(0)
        try:
            yield
        except errors.TimeoutError:
            raise
        except FROM_LIBRARY as error:
            raise translated(error, self.directory, self._wait) from error
