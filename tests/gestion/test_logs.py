"""What the panel logs at its most talkative holds no secret that anybody could use."""

import json
import re
from pathlib import Path

import pytest
import requests

from tests.databases import give
from tests.githooks.calling import body_of, github, gitlab, plain
from tests.githooks.conftest import Origin
from tests.panel import Panel
from tests.waiting import PATIENCE_SECONDS, wait_for

PASSWORD, WRONG = "correct horse battery staple", "wrong horse battery staple"
FILL = """
import json
from django.conf import settings
from accounts import password_links, tokens
from accounts.actors import Actor
from accounts.models import User

from githooks.models import Repository
from keymanager.tokens import give_token
from servers.models import Server
actor = Actor.system("test")

ada = User.objects.create_superuser("ada", "correct horse battery staple", email="ada@example.org")
mel = User.objects.create_user("mel", "another horse battery", email="mel@example.org")
print(json.dumps({
  "api": tokens.create_token(actor, ada, name="a program", days=None)[1],
  "fetch": give_token(actor, Server.objects.create(name="web1", ssh_connection="root@web1")).secret,
  "hook": Repository.objects.create(key="scripts").secret,
  "link": password_links.link_for(mel, "reset"), "ada hash": ada.password,
  "keys": settings.GESTION_ENCRYPTION_KEYS[0], "secret": settings.SECRET_KEY,
}))
"""


class Visitor:
    """A browser that remembers what must not be logged."""

    def __init__(self, url: str, secrets: dict[str, str]) -> None:
        self.url, self.secrets, self.session = url, secrets, requests.Session()
        self.session.trust_env = False

    def post(self, path: str, **form: str) -> requests.Response:
        """Fill in the page's form and send it."""
        page = self.session.get(self.url + path, timeout=PATIENCE_SECONDS).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token, page
        answer = self.session.post(
            self.url + path,
            data={**form, "csrfmiddlewaretoken": token[1]},
            headers={"Referer": self.url},
            timeout=PATIENCE_SECONDS,
        )
        for name, value in self.session.cookies.items():
            self.secrets[f"{name} after {path}"] = str(value)
        return answer


def hooks(url: str, secret: str) -> None:
    """Pushes as git hosts tell of them: proven, with a wrong secret, and not proven at all."""
    body = body_of()
    for sender in (github, gitlab, plain):
        for used in (secret, f"not-{secret}"):
            requests.post(
                f"{url}/git_hook/scripts/", data=body, headers=sender(used, body), timeout=PATIENCE_SECONDS
            )
    requests.post(f"{url}/git_hook/{secret}/?token={secret}", data=b"{", timeout=PATIENCE_SECONDS)


def visit(panel: Panel, secrets: dict[str, str]) -> None:
    """Every way in, with the right and with wrong words."""
    visitor = Visitor(panel.url, secrets)
    visitor.post("/sign-in/", username="ada", password=WRONG)
    assert "Sign out" in visitor.post("/sign-in/", username="ada", password=PASSWORD).text
    bearer = {"Authorization": f"Bearer {secrets['api']}", "Accept": "application/json"}
    assert requests.get(f"{panel.url}/servers/", headers=bearer, timeout=PATIENCE_SECONDS).status_code == 200
    requests.get(
        f"{panel.url}/servers/",
        headers={"Authorization": f"Bearer x{secrets['api']}"},
        timeout=PATIENCE_SECONDS,
    )
    keys = f"{panel.url}/keymanager/servers/getKeys/web1/"
    for token in (secrets["fetch"], f"x{secrets['fetch']}"):
        requests.get(keys, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_SECONDS)
    link = "/" + secrets["link"].split("/", 3)[3]
    secrets["link"] = link.split("/")[3]
    assert (
        requests.post(panel.url + link, data={"password": "x"}, timeout=PATIENCE_SECONDS).status_code == 403
    )  # no CSRF token
    requests.put(panel.url + link, timeout=PATIENCE_SECONDS)
    requests.get(panel.url + link.removesuffix("/") + "x/", timeout=PATIENCE_SECONDS)
    requests.get(panel.url + link + "more/", timeout=PATIENCE_SECONDS)
    hooks(panel.url, secrets["hook"])
    visitor.post("/profile/password/", current_password=WRONG, password=PASSWORD, password_again=PASSWORD)


@pytest.mark.parametrize("debug", ["false", "true"])
def test_nothing_that_lets_anybody_in_is_logged_at_the_level_debug(
    tmp_path: Path, ready_database: Path | None, debug: str
) -> None:
    (tmp_path / "git").mkdir()
    origin = Origin(tmp_path / "git")
    panel = Panel(tmp_path / "data", LOG_LEVEL="DEBUG", DEBUG=debug, GIT_REPOS=f"scripts={origin.clone}",
                  ALLOW_PLAIN_HTTP_KEYS="true")  # fmt: skip
    panel.folder.mkdir()
    give(ready_database, panel.folder)
    secrets = json.loads(panel.manage("shell", "--no-imports", "-c", FILL).splitlines()[-1])
    secrets |= {"password": PASSWORD, "wrong password": WRONG}
    with panel:
        visit(panel, secrets)
        wait_for(lambda: "was refused" in panel.log.read_text(), log=panel.log, name="the log")
    log = panel.log.read_text()
    assert "DEBUG" in log
    found = {name: line for name, secret in secrets.items() for line in log.splitlines() if secret in line}
    assert found == {}
