"""Proofs from outside: what the panel itself tries after an apply."""

import http.client
import socket
import ssl
import time
import urllib.parse

from hosts.bounds import MIB, Allowance, CountingSocket, CountingTls, tls_context
from hosts.state import AskProbe, HttpProbe, Probe, TcpProbe

BODY_BYTES = MIB  # of a page are looked at
PAGE_BYTES = 2 * BODY_BYTES  # taken of one answer, with all that is around it
PAUSE = 0.25  # seconds between two tries


def failing(probes: tuple[Probe, ...], seconds: float) -> str:
    """Try every probe until it succeeds or its time is over; "" or what the first failing one met.

    `seconds` bounds all of them together.
    """
    end = time.monotonic() + seconds
    for probe in probes:
        if isinstance(probe, AskProbe):
            words = _ask(probe)
        else:
            words = _until(probe, min(end, time.monotonic() + probe.timeout))
        if words:
            return words
    return ""


def _ask(probe: AskProbe) -> str:
    words = ""
    for count in range(probe.tries):
        if count:
            time.sleep(1)
        if not (words := probe.ask()):
            break
    return words


def _until(probe: TcpProbe | HttpProbe, end: float) -> str:
    met = ""
    while True:
        left = max(end - time.monotonic(), 0.1)
        words = _tcp(probe, left) if isinstance(probe, TcpProbe) else _http(probe, left)
        if not words:
            return ""
        now = time.monotonic()
        if not met or now < end:  # what the end of the time cut short says less than what was met before
            met = words
        if now + PAUSE >= end:
            return met
        time.sleep(PAUSE)


def _tcp(probe: TcpProbe, seconds: float) -> str:
    try:
        socket.create_connection((probe.host, probe.port), timeout=seconds).close()
    except OSError as error:
        return f"{probe.host} port {probe.port}: {error}"
    return ""


def _http(probe: HttpProbe, seconds: float) -> str:
    try:
        status, body = _get(probe, seconds)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{probe.url}: {error or type(error).__name__}"
    if status != probe.expect_status:
        return f"{probe.url}: answered {status}, not {probe.expect_status}"
    if probe.expect_body not in body:
        return f"{probe.url}: the page is another one"
    return ""


def _get(probe: HttpProbe, seconds: float) -> tuple[int, bytes]:
    url = urllib.parse.urlsplit(probe.url)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ValueError("not an http(s) URL")
    port = url.port or (443 if url.scheme == "https" else 80)
    plain = socket.create_connection((probe.connect_to or url.hostname, port), timeout=seconds)
    raw = CountingSocket.of(plain, Allowance(PAGE_BYTES, seconds))
    connection = http.client.HTTPConnection(url.hostname, port, timeout=seconds)
    with raw:
        if url.scheme == "https":
            connection.sock = _tls(raw, url.hostname, verify=probe.verify)
        else:
            connection.sock = raw
        path = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
        connection.request("GET", path, headers={"User-Agent": "gestion", "Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(BODY_BYTES)
        connection.close()
        return answer.status, body


def _tls(raw: CountingSocket, name: str, *, verify: bool) -> CountingTls:
    context = tls_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return CountingTls.over(raw, name, context)
