"""A panel's other side for the hosts' script: gives whatever a test wants, good or bad, and notes what
was said.
"""

import base64
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from keymanager.desired import Fetch, files
from keymanager.protocol import (
    NAMESPACE,
    NAMESPACES,
    PRINCIPAL,
    PROOF_NAMESPACE,
    content_of,
    proof_message,
    server_message,
)
from keymanager.signing import Signer, armoured, fresh_key


def quiet_minute() -> int:
    """A minute of the hour that is far off, also where a time zone is some quarters of an hour from UTC.

    The lab's hosts run cron: at the minute of its entry the host fetches by itself, between two lines of a test.
    """
    return (time.gmtime().tm_min + 20) % 60


@dataclass
class FakePanel:
    """Set `reply` to (status, headers, body), or call `give`."""

    url: str
    name: str = "web1"
    reply: tuple[int, dict[str, str], bytes] = (500, {}, b"")
    seen: list[dict[str, str]] = field(default_factory=list)
    revision: int = 1000
    clock: float = 0.0  # seconds that this panel's clock is off
    proof: str | None = None  # instead of a right one
    before_reply: Callable[[], object] = bool  # what a test does while a host waits
    minute: int = field(default_factory=quiet_minute)  # at which hosts' cron fetches

    def __post_init__(self) -> None:
        key = fresh_key()
        self.signer = Signer.of(key)
        self.signers = f'{PRINCIPAL} namespaces="{NAMESPACES}" {key.public_key}\n'

    def files(self, **more):
        """What the rollout would put on the host."""
        fetch = Fetch(
            self.url, self.name, "gsk_test", self.signers, self.minute, plain_http=True, spread=0, **more
        )
        return files(fetch)

    def answer(
        self,
        users: Mapping[str, list[str]],
        *,
        name: str = "",
        revision: int = 0,
        signer: Signer | None = None,
        swap: tuple[bytes, bytes] = (b"", b""),
    ) -> tuple[str, bytes]:
        """ETag and body of a right answer."""
        self.revision += 1
        content = content_of({user: tuple(f"{k}\n".encode() for k in keys) for user, keys in users.items()})
        message = b"".join(server_message(name or self.name, revision or self.revision, content))
        message = message.replace(*swap) if any(swap) else message
        return content.etag, message + armoured((signer or self.signer).sign(message, NAMESPACE))

    def give(self, users: Mapping[str, list[str]], **more) -> None:
        """From now on, answer rightly with these keys."""
        etag, body = self.answer(users, **more)
        self.reply = (200, {"ETag": f'"{etag}"'}, body)

    def prove(self, revision: int, etag: str, nonce: str, name: str = "") -> str:
        """The header that proves an answer to this nonce."""
        at = int(time.time() + self.clock)
        message = proof_message(name or self.name, "", revision, etag, at=at, nonce=nonce)
        signature = base64.b64encode(self.signer.sign(message, PROOF_NAMESPACE)).decode()
        return f"1 {revision} {at} {signature}"

    def proof_for(self, asked: Mapping[str, str], status: int, body: bytes) -> str:
        """What goes with this answer: right, unless `proof` says something else."""
        if self.proof is not None:
            return self.proof
        head = body.split(b"\n", 2)[1].decode(errors="replace").split() if body.count(b"\n") > 1 else []
        nonce = asked.get("gestion-keys-nonce", "-")
        if status == 200 and len(head) > 5 and head[4].isdigit():
            return self.prove(int(head[4]), head[5], nonce, head[3])
        return self.prove(self.revision, asked.get("if-none-match", "").strip('"'), nonce)

    @property
    def problem(self) -> str:
        """What the host said last was wrong."""
        return self.seen[-1]["gestion-keys-problem"]

    @property
    def holds(self) -> str:
        """What the host said last it holds."""
        return self.seen[-1]["gestion-keys-holds"]


@contextmanager
def fake_panel(address: str) -> Iterator[FakePanel]:
    """One that listens on a free port of this address until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            panel.seen.append({name.lower(): value for name, value in self.headers.items()})
            panel.before_reply()
            status, headers, body = panel.reply
            asked = panel.seen[-1]
            if status == 200 and headers.get("ETag") == self.headers.get("If-None-Match"):
                status, headers, body = 304, {}, b""
            self.send_response(status)
            if status in {200, 304} and (proof := panel.proof_for(asked, status, body)):
                self.send_header("Gestion-Keys-Proof", proof)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()  # without a length: the end of the connection is the end of the answer
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the server's naming

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer((address, 0), Handler)
    panel = FakePanel(f"http://{address}:{server.server_address[1]}/")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield panel
    finally:
        server.shutdown()
        server.server_close()
