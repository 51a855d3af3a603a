"""Whether this container does its work, for Docker: `healthy.py web|worker|scheduler`; exit code 0 if so.

Asked several times a minute, so it does without Django.
"""

import http.client
import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

SECONDS = 5
FRESH = 60  # seconds; workers beat every 15, and the scheduler ticks every 15

SIGNS_OF_LIFE = {
    "worker": "SELECT 1 FROM jobs_workerstate WHERE name LIKE %s AND heartbeat_at > now() - %s * interval '1 s'",
    # A tick that a worker has carried out. Without any worker the scheduler does not count as well either.
    "scheduler": "SELECT 1 FROM jobs_schedulestate WHERE name = %s AND last_ended_at > now() - %s * interval '1 s'",
}


def web() -> bool:
    """Whether Daphne serves pages: its own word, all the way to the database."""
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=SECONDS)
    connection.request("GET", "/health/", headers={"Host": urlsplit(os.environ["GESTION_URL"]).netloc})
    return connection.getresponse().status == http.client.OK


def alive(part: str) -> bool:
    """Whether the database holds a fresh sign of life of this part."""
    import psycopg2

    name = f"{socket.gethostname()}:%" if part == "worker" else "jobs.tick"
    with psycopg2.connect(database_url(), connect_timeout=SECONDS) as connection:
        cursor = connection.cursor()
        cursor.execute(SIGNS_OF_LIFE[part], (name, FRESH))
        return cursor.fetchone() is not None


def database_url() -> str:
    """DATABASE_URL, found where gestion/settings.py finds it."""
    if "DATABASE_URL" in os.environ:
        return os.environ["DATABASE_URL"]
    for path in map(Path, os.environ["GESTION_ENV_FILE"].split(":")):
        for line in path.read_text().splitlines() if path.is_file() else ():
            name, _sign, value = line.partition("=")
            if name.strip() == "DATABASE_URL":
                return value.strip()
    raise SystemExit("No DATABASE_URL anywhere.")


if __name__ == "__main__":
    sys.exit(0 if (web() if sys.argv[1] == "web" else alive(sys.argv[1])) else 1)
