"""Two-factor sign-in in the browser: required, set up by the QR code's secret, asked for, recovered."""

import pyotp
import pytest
from playwright.sync_api import Page, expect

from accounts.models import SecondFactor, User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "correct horse battery"


def sign_in(page: Page, base: str) -> None:
    page.goto(f"{base}/sign-in/")
    page.locator("[name=username]").fill("ada")
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def sign_out(page: Page) -> None:
    page.context.clear_cookies()


def test_an_admin_who_must_sets_it_up_signs_in_by_code_and_by_a_recovery_code(
    page: Page, live_server, settings, admin: User
) -> None:
    settings.REQUIRE_TWO_FACTOR = "admins"
    broken: list[str] = []
    page.on("console", lambda said: broken.append(said.text) if "Content Security" in said.text else None)
    sign_in(page, live_server.url)
    expect(page.get_by_role("heading", name="Two-factor sign-in")).to_be_visible()
    page.goto(f"{live_server.url}/servers/")
    expect(page.locator("main")).to_contain_text("This panel requires two-factor sign-in of you")

    page.locator("[name=current]").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("img.qr")).to_be_visible()
    page.wait_for_function("image => image.naturalWidth > 100", arg=page.locator("img.qr").element_handle())
    clock = pyotp.TOTP(page.locator("#secret").input_value().replace(" ", ""))
    page.locator("[name=code]").fill(clock.now())
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    codes = page.locator("#codes").input_value().split()
    assert len(codes) == 10
    page.goto(f"{live_server.url}/servers/")
    expect(page.get_by_role("heading", name="Servers")).to_be_visible()

    sign_out(page)
    SecondFactor.objects.update(last_step=0)  # the code of the set-up is long past
    sign_in(page, live_server.url)
    expect(page.get_by_role("heading", name="Now the code")).to_be_visible()
    page.locator("[name=code]").fill("000000")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("main")).to_contain_text("This code does not fit")
    page.locator("[name=code]").fill(clock.now())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()

    sign_out(page)
    sign_in(page, live_server.url)
    page.locator("[name=code]").fill(codes[0].lower())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    page.goto(f"{live_server.url}/profile/two-factor/")
    expect(page.locator(".page-subtitle")).to_contain_text("9 recovery codes left")
    assert not broken
