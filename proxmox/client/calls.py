"""One call to an API: sent by proxmoxer, its answer returned or its refusal raised as a typed error."""

import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import requests
import urllib3
from proxmoxer.backends.https import JsonSerializer
from proxmoxer.core import ProxmoxResource, ResourceException

from hosts import bounds, meter
from proxmox.client import errors
from proxmox.client.certificate import fetch_certificate, fingerprint_of
from proxmox.client.session import (
    CONNECT_SECONDS,
    READ_SECONDS,
    WRITE_SECONDS,
    Endpoint,
    TicketAuth,
    new_session,
    token_auth,
)

_RIGHTS = re.compile(r"\((?P<path>/\S*), (?P<privileges>[\w.|]+)\)")
_LOCK = re.compile(r"(?:CT|VM) is locked(?: \((?P<lock>[\w-]+)\))?")
_BUSY = re.compile(r"can't lock file|can't acquire lock|got timeout|got lock request timeout")
_DIGEST = re.compile(r"detected modified configuration")
CLOSED = "the connection was closed"
_GONE = re.compile(r"Configuration file '\S+' does not exist|no such (?:VM|CT)", re.IGNORECASE)


class Calls:
    """Speaks to one API. Not for several threads at once, but for `cut`. Close it, or use it in `with`.

    `read_seconds` and `write_seconds` are how long an answer to a reading call or a change may take.
    `on_certificate` hears of one that is not accepted.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        read_seconds: float = READ_SECONDS,
        write_seconds: float = WRITE_SECONDS,
        on_certificate: Callable[[str], object] = lambda pem: None,
    ) -> None:
        self.endpoint = endpoint
        self.read_seconds = read_seconds
        self.write_seconds = write_seconds
        self._on_certificate = on_certificate
        self._session, self._adapter = new_session(endpoint.fingerprint)
        self._signed_in = False
        self._cut = False  # on purpose, and so nothing is asked for again

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def cut(self) -> None:
        """End what another thread waits for: `with run.on_stop(api.cut):`."""
        self._cut = True
        self._adapter.cut()

    @property
    def host(self) -> str:
        """The server's name in the inventory."""
        return self.endpoint.host

    @property
    def node(self) -> str:
        """The node's name in its cluster."""
        return self.endpoint.node

    @property
    def who(self) -> str:
        """As whom it signs in: a user, or `user@realm!token`."""
        return self.endpoint.login.who

    def get(self, *path: str, **params: Any) -> Any:
        """Read. Path parts must have been checked by `names`. Raises ProxmoxError."""
        try:
            return self._call("GET", path, params, self.read_seconds)
        except errors.NoAnswer as error:
            if error.words != CLOSED or self._cut:
                raise
        return self._call("GET", path, params, self.read_seconds)  # a kept connection had ended meanwhile

    def post(self, *path: str, **data: Any) -> Any:
        """Have something done. Path parts must have been checked by `names`. Raises ProxmoxError."""
        return self._call("POST", path, data, self.write_seconds)

    def put(self, *path: str, **data: Any) -> Any:
        """Change something. Path parts must have been checked by `names`. Raises ProxmoxError."""
        return self._call("PUT", path, data, self.write_seconds)

    def delete(self, *path: str, **params: Any) -> Any:
        """Remove something; parameters go into the URL, for Proxmox takes no body here. Raises ProxmoxError."""
        return self._call("DELETE", path, params, self.write_seconds)

    def _call(self, method: str, path: tuple[str, ...], data: dict[str, Any], seconds: float) -> Any:
        with meter.outside():
            return self._signed_call(method, path, data, seconds)

    def _signed_call(self, method: str, path: tuple[str, ...], data: dict[str, Any], seconds: float) -> Any:
        try:
            return self._send(method, path, data, seconds)
        except errors.SignInRefused:
            if self.endpoint.login.is_token or not self._signed_in:
                raise
        self._signed_in = False  # a ticket holds for two hours; the password for longer
        return self._send(method, path, data, seconds)

    def _send(self, method: str, path: tuple[str, ...], data: dict[str, Any], seconds: float) -> Any:
        self._sign_in()
        plain = {name: int(value) if isinstance(value, bool) else value for name, value in data.items()}
        self._session.auth.timeout = (CONNECT_SECONDS, seconds)
        self._adapter.seconds = CONNECT_SECONDS + seconds
        resource = ProxmoxResource(
            base_url=f"{self.endpoint.base_url}/{'/'.join(path)}",
            session=self._session,
            serializer=JsonSerializer(),
        )
        body = {"data": plain} if method in {"POST", "PUT"} else {"params": plain}
        try:
            return resource._request(method, **body)
        except ResourceException as error:
            raise self._refusal(error) from None
        except requests.exceptions.RequestException as error:
            raise self._no_answer(error, seconds) from None
        except (LookupError, TypeError, AttributeError, RecursionError):  # JSON, but not as Proxmox answers
            raise errors.Refused(self.host, 200, "this is not the Proxmox API") from None

    def _sign_in(self) -> None:
        if self._signed_in:
            return
        login = self.endpoint.login
        if login.is_token:
            self._session.auth = token_auth(login)
        else:
            self._session.auth = TicketAuth(*self._ticket())
        self._signed_in = True

    def _ticket(self) -> tuple[str, str]:
        login, seconds = self.endpoint.login, max(self.read_seconds, READ_SECONDS)
        self._adapter.seconds = CONNECT_SECONDS + seconds
        try:
            answer = self._session.request(
                "POST",
                f"{self.endpoint.base_url}/access/ticket",
                data={"username": login.who, "password": login.secret},
                timeout=(CONNECT_SECONDS, seconds),
            )
            found = answer.json()["data"] or {} if answer.status_code == 200 else {}
            found.get("ticket")
        except (requests.exceptions.JSONDecodeError, RecursionError, LookupError, TypeError, AttributeError):
            raise errors.Refused(self.host, 200, "this is not the Proxmox API") from None
        except requests.exceptions.RequestException as error:
            raise self._no_answer(error, self.read_seconds) from None
        if found.get("NeedTFA"):
            raise errors.SignInRefused(self.host, login.who, "a second factor is wanted: use a token instead")
        if not found.get("ticket"):
            words = str(answer.reason or "").strip() or "Authentication failed"
            if answer.status_code in {200, 401}:
                raise errors.SignInRefused(self.host, login.who, words.rstrip("!."))
            raise errors.Refused(self.host, answer.status_code, words)
        return found["ticket"], found["CSRFPreventionToken"]

    def _refusal(self, error: ResourceException) -> errors.ProxmoxError:
        status, words = int(error.status_code), str(error.content or error.status_message or "").strip()
        if status == 401:
            return errors.SignInRefused(self.host, self.who, words.rstrip("!."))
        if status == 403:
            found = _RIGHTS.search(words)
            path, privileges = (found["path"], found["privileges"].split("|")) if found else ("", [])
            return errors.RightsMissing(self.host, self.who, path, privileges, words)
        if 595 <= status <= 599:
            return errors.NodeDown(self.host, status, words)
        if status == 500:
            return self._handler_gave_up(words)
        fields = error.errors if isinstance(error.errors, dict) else {}
        by_field = {str(name): str(text).strip() for name, text in fields.items() if isinstance(text, str)}
        return errors.Refused(self.host, status, words, by_field)

    def _handler_gave_up(self, words: str) -> errors.Refused:
        """What the words of a 500 mean; Proxmox tells these apart by nothing else."""
        if lock := _LOCK.search(words):
            return errors.Locked(self.host, 500, words, lock["lock"] or "")
        if _BUSY.search(words):
            return errors.Locked(self.host, 500, words, "")
        if _DIGEST.search(words):
            return errors.ChangedMeanwhile(self.host, 500, words)
        kind = errors.Gone if _GONE.search(words) else errors.Refused
        return kind(self.host, 500, words)

    def _no_answer(self, error: requests.exceptions.RequestException, seconds: float) -> errors.ProxmoxError:
        if isinstance(error, requests.exceptions.SSLError):
            return self._bad_certificate(error)
        if isinstance(error, requests.exceptions.TooManyRedirects):
            return errors.Refused(self.host, 302, "this is not the Proxmox API: it leads elsewhere")
        if isinstance(error, requests.exceptions.ContentDecodingError):
            return errors.Refused(self.host, 200, str(error))
        broken = self._adapter.allowance.broken
        if broken is not None:
            kind = errors.AnswerTooLong if isinstance(broken, bounds.TooMuch) else errors.NoAnswer
            return kind(self.host, str(broken))
        return self._silent(error, seconds)

    def _silent(self, error: requests.exceptions.RequestException, seconds: float) -> errors.ProxmoxError:
        words = _unreachable(error)
        if words:
            return errors.Unreachable(self.host, words)
        if isinstance(error, requests.exceptions.ReadTimeout):
            return errors.NoAnswer(self.host, f"nothing came within {seconds:.0f} s")
        return errors.NoAnswer(self.host, CLOSED)

    def _bad_certificate(self, error: requests.exceptions.SSLError) -> errors.ProxmoxError:
        try:
            pem = fetch_certificate(self.endpoint.address, self.endpoint.port, CONNECT_SECONDS)
        except OSError:
            return errors.Unreachable(self.host, f"TLS fails ({error})")
        self._on_certificate(pem)
        shown, expected = fingerprint_of(pem), self.endpoint.fingerprint
        if not expected:
            return errors.CertificateUnknown(self.host, shown, pem)
        return errors.CertificateChanged(self.host, shown, pem, expected)


def _unreachable(error: requests.exceptions.RequestException) -> str:
    """Why no connection came about; empty if one did."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:.0f} s"
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return str(reason).rpartition(": ")[2].partition("] ")[2] or str(reason)
    return ""
