"""A job that is followed on a page, where the stream of its news is refused for a while."""

import json
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, Route, expect

from accounts.models import User
from jobs.models import Job, JobState

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

STATE = dict[str, Any](
    state="running",
    label="heard again",
    colour="blue",
    percent=None,
    error="",
    ended=False,
    step="",
    steps=[],
)
NEWS = f"event: state\ndata: {json.dumps(STATE)}\n\n"


def test_a_page_whose_stream_a_proxy_refuses_asks_again(page: Page, live_server: Any) -> None:
    ada = User.objects.create_superuser("ada", "correct horse battery")
    job = Job.objects.create(work="jobs.check", title="Long work", state=JobState.RUNNING, owner=ada)
    client = Client()
    client.force_login(ada)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=502, body="Bad gateway")
        else:
            route.fulfill(status=200, content_type="text/event-stream", body=NEWS)

    page.route("**/stream?*", answer)
    page.goto(live_server.url + job.get_absolute_url())
    expect(page.locator("[data-job-state]").first).to_have_text("heard again")
    assert len(asked) > 1
