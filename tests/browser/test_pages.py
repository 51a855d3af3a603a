"""Every page that answers GET, in Chromium: WCAG by axe-core, no error on the console, no sideways scrolling."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page

from tests.gestion.test_every_url import EVERY_URL, Url
from tests.gestion.url_arguments import World, make_world
from tests.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
AXE = (settings.BASE_DIR / "node_modules/axe-core/axe.min.js").read_text()
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
LOOKS: dict[str, Any] = {
    "desk-light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "phone-dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
# One never ends; the other answers 503 to say that a backup is not as it should be.
NO_PAGES = {"jobs:stream", "backups:health"}
ROOMS = sorted({url.name.rpartition(":")[0] for url in EVERY_URL})


@pytest.mark.timeout(600)
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("room", ROOMS)
def test_every_page_can_be_read_by_everybody_on_any_screen(
    browser: Browser, live_server: Any, look: str, room: str
) -> None:
    world = make_world()
    # The content security policy keeps scripts of others out, and axe is one.
    context = browser.new_context(**LOOKS[look], bypass_csp=True)
    context.add_cookies([session_of(world, live_server.url)])
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    wrong = []
    for url in (url for url in EVERY_URL if url.name.rpartition(":")[0] == room):
        errors.clear()
        wrong += [f"{url.name}: {found}" for found in faults(page, live_server.url, url, world)]
        wrong += [f"{url.name}: console: {said}" for said in errors if "status of 40" not in said]
    context.close()
    assert not wrong, "\n".join(wrong)


def session_of(world: World, base: str) -> Any:
    """The cookie of a browser in which the admin is signed in."""
    client = Client()
    client.force_login(world.admin)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    return {"name": cookie.key, "value": cookie.value, "url": base}


def faults(page: Page, base: str, url: Url, world: World) -> list[str]:
    """What is wrong with a page; nothing for an answer that is none."""
    if url.name in NO_PAGES:
        return []
    path = base + url.path(world)
    answer = page.request.get(path, headers={"Accept": "text/html"}, max_redirects=0)
    if answer.status != 200 or "text/html" not in answer.headers["content-type"]:
        return ["it breaks"] if answer.status >= 500 else []
    if "<html" not in answer.text():
        return []  # a part of a page
    page.goto(path, wait_until="load")
    sideways = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    found = [f"{sideways} px wider than the screen"] if sideways > 0 else []
    page.evaluate(AXE)
    # All else that it has looked at is much to hand over
    violations = page.evaluate("async rules => (await axe.run(document, rules)).violations", RULES)
    return found + [f"{fault['id']}: {fault['nodes'][0]['html'][:200]}" for fault in violations]
