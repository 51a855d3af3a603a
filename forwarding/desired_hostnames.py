"""What an nginx server should hold so that its hostnames lead to their servers."""

from hosts.state import State
from servers.models import Server

KIND = "nginx"


def desired(server: Server) -> State | None:
    """What the server should hold of kind "nginx"."""
    return State(kind=KIND, items=()) if server.nginx_for.exists() else None
