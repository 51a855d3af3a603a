"""A panel's other side for the hosts' script: gives whatever a test wants, good or bad, and notes what
was said.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from keymanager.desired import Fetch, files
from keymanager.protocol import NAMESPACE, PRINCIPAL, USER_NAMESPACE, content_of, server_message
from keymanager.signing import Signer, armoured, fresh_key


@dataclass
class FakePanel:
    """Set `reply` to (status, headers, body), or call `give`."""

    url: str
    name: str = "web1"
    reply: tuple[int, dict[str, str], bytes] = (500, {}, b"")
    seen: list[dict[str, str]] = field(default_factory=list)
    revision: int = 1000

    def __post_init__(self) -> None:
        key = fresh_key()
        self.signer = Signer.of(key)
        namespaces = f"{NAMESPACE},{USER_NAMESPACE}"
        self.signers = f'{PRINCIPAL} namespaces="{namespaces}" {key.public_key}\n'

    def files(self, **more):
        """What the rollout would put on the host."""
        fetch = Fetch(self.url, self.name, "gsk_test", self.signers, 17, plain_http=True, spread=0, **more)
        return files(fetch)

    def answer(
        self,
        users: Mapping[str, list[str]],
        *,
        name: str = "",
        revision: int = 0,
        signer: Signer | None = None,
    ) -> tuple[str, bytes]:
        """ETag and body of a right answer."""
        self.revision += 1
        content = content_of({user: tuple(f"{k}\n".encode() for k in keys) for user, keys in users.items()})
        message = b"".join(server_message(name or self.name, revision or self.revision, content))
        return content.etag, message + armoured((signer or self.signer).sign(message, NAMESPACE))

    def give(self, users: Mapping[str, list[str]], **more) -> None:
        """From now on, answer rightly with these keys."""
        etag, body = self.answer(users, **more)
        self.reply = (200, {"ETag": f'"{etag}"'}, body)

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
            status, headers, body = panel.reply
            if status == 200 and headers.get("ETag") == self.headers.get("If-None-Match"):
                status, headers, body = 304, {}, b""
            self.send_response(status)
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
