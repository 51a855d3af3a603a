"""A web server on loopback that has challenges, where a test needs no whole nginx."""

import http.server
import threading
from collections.abc import Callable

from tests.panel import free_port

PREFIX = "/.well-known/acme-challenge/"


class Answerer:
    """Serves what `look` gives for a token, else 404. `asked` lists the tokens that were asked for."""

    def __init__(self, look: Callable[[str], str | None]) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token = self.path.removeprefix(PREFIX)
                outer.asked.append(token)
                found = look(token)
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write((found or "nothing here").encode())

            def log_message(self, *_args: object) -> None:
                pass

        self.port = free_port()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
