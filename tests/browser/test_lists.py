"""A list that is narrowed while one types: what else of the page belongs to its rows follows."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts import audit
from accounts.actors import Actor
from tests.browser.test_hostname_form import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_file_of_the_audit_trail_has_what_is_shown(page: Page, live_server: Any) -> None:
    sign_in(page, live_server.url)
    audit.record(Actor.system("test"), "servers.check")
    audit.record(Actor.system("test"), "token.create")
    page.goto(f"{live_server.url}/audit/?from=2026-01-01")
    page.get_by_role("searchbox", name="Search this list").fill("servers.check")
    page.wait_for_url("**/audit/?*q=servers.check*")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    with page.expect_download() as found:
        page.get_by_role("link", name="CSV").click()
    assert len(found.value.path().read_text().splitlines()) == 2
