"""What git hosts send: which payload means that the branch was pushed, and which is answered and starts nothing."""

import json
from urllib.parse import urlencode

import pytest
from django.test import Client

from githooks.models import Call
from githooks.views.hook import MOST_BODY
from jobs.models import Job
from tests.githooks.calling import (
    URL,
    bitbucket,
    body_of,
    call,
    forgejo,
    gitea,
    github,
    gitlab,
    gogs,
    nothing_happened,
)
from tests.jobs.working import work_off

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'"x"', b"\xff\xfe"])
def test_a_body_that_is_no_object_is_refused(origin, repository, body):
    assert call(body, github(repository.secret, body)).status_code == 400
    nothing_happened(origin, origin.pulled)


@pytest.mark.parametrize(
    "ref", ["refs/heads/other", "refs/tags/main", "main", "", "refs/heads/main\n", 7, None]
)
def test_a_push_to_something_else_is_not_pulled_and_not_answered_with_200(origin, repository, ref):
    body = json.dumps({"ref": ref}).encode()
    assert call(body, github(repository.secret, body)).status_code == 202
    assert not Job.objects.exists()


PUSHES = {
    "GitHub deletes it": {"ref": "refs/heads/main", "deleted": True, "after": "0" * 40},
    "GitLab deletes it": {"ref": "refs/heads/main", "after": "0" * 40, "checkout_sha": None},
    "Bitbucket Cloud deletes it": {
        "push": {"changes": [{"old": {"type": "branch", "name": "main"}, "new": None, "closed": True}]}
    },
    "Bitbucket Data Center deletes it": {
        "changes": [{"refId": "refs/heads/main", "type": "DELETE", "toHash": "0" * 40}]
    },
    "Bitbucket Cloud pushes a tag": {"push": {"changes": [{"new": {"type": "tag", "name": "main"}}]}},
    "Bitbucket Cloud pushes another": {"push": {"changes": [{"new": {"type": "branch", "name": "x"}}]}},
    "nothing of their form": {"push": {"changes": "x"}, "changes": [1, None]},
}
PULLED = {
    "Bitbucket Cloud": {
        "push": {
            "changes": [
                {"new": {"type": "branch", "name": "x"}, "old": None},
                {"new": {"type": "branch", "name": "main"}, "old": {"type": "branch", "name": "main"}},
            ]
        }
    },
    "Bitbucket Data Center": {
        "eventKey": "repo:refs_changed",
        "changes": [{"ref": {"id": "refs/heads/main"}, "refId": "refs/heads/main", "type": "UPDATE"}],
    },
}


@pytest.mark.parametrize("payload", PUSHES.values(), ids=list(PUSHES))
def test_a_push_after_which_the_branch_is_not_there_starts_nothing(origin, repository, payload):
    body = json.dumps(payload).encode()
    answer = call(body, bitbucket(repository.secret, body))
    assert (answer.status_code, answer.json()["ok"]) == (202, True)
    assert not Job.objects.exists()


@pytest.mark.parametrize("payload", PULLED.values(), ids=list(PULLED))
def test_bitbucket_tells_of_several_branches_at_once(origin, repository, payload):
    pushed = origin.push("new.py", "x = 1\n")
    body = json.dumps(payload).encode()
    assert call(body, bitbucket(repository.secret, body)).status_code == 200
    work_off()
    assert origin.pulled == pushed


def test_githubs_other_content_type_is_read_and_signed_as_it_is_sent(origin, repository):
    pushed = origin.push("new.py", "x = 1\n")
    body = urlencode({"payload": body_of().decode()}).encode()
    form = "application/x-www-form-urlencoded"
    answer = Client(enforce_csrf_checks=True).post(
        URL, body, content_type=form, headers=github(repository.secret, body)
    )
    assert answer.status_code == 200, answer.content
    work_off()
    assert origin.pulled == pushed
    for bad in (b"payload=", b"a=1", b"payload=[]", b"\xff=\xff", b"&" * 100):
        answer = Client().post(URL, bad, content_type=form, headers=github(repository.secret, bad))
        assert answer.status_code == 400, bad


@pytest.mark.parametrize("sender", [gitea, forgejo, gogs])
def test_of_a_form_gitea_forgejo_and_gogs_sign_what_is_in_it(origin, repository, sender):
    pushed = origin.push("new.py", "x = 1\n")
    payload = body_of(commits=[{"message": "Größe: 100 % & mehr"}])
    body = urlencode({"payload": payload}).encode()
    form = "application/x-www-form-urlencoded"

    def answer(signed: bytes) -> int:
        headers = sender(repository.secret, signed)
        return (
            Client(enforce_csrf_checks=True).post(URL, body, content_type=form, headers=headers).status_code
        )

    assert answer(b"") == answer(payload + b" ") == 403
    assert not Job.objects.exists()
    assert answer(payload) == 200
    work_off()
    assert origin.pulled == pushed


def test_a_form_that_would_be_read_before_anything_is_proved_may_not_be_large(origin, repository):
    payload = body_of(commits=["x" * 1000] * 2200)
    body = urlencode({"payload": payload}).encode()
    form, signed = "application/x-www-form-urlencoded", gogs(repository.secret, payload)
    assert Client().post(URL, body, content_type=form, headers=signed).status_code == 403


def test_a_body_may_be_as_large_as_githubs_and_no_larger(origin, repository):
    body = body_of(commits=["x" * 1000] * 24_000)
    assert 24_000_000 < len(body) < MOST_BODY
    assert call(body, github(repository.secret, body)).status_code == 200
    body = b" " * (MOST_BODY + 1)
    assert call(body, github(repository.secret, body)).status_code == 413
    assert Job.objects.count() == 1


@pytest.mark.parametrize("event", ["ping", "issues"])
def test_what_starts_nothing_is_answered_the_same_when_it_is_delivered_again(origin, repository, event):
    body = json.dumps({"zen": "x"}).encode()
    headers = {**github(repository.secret, body), "X-GitHub-Event": event}
    assert (
        call(body, headers).status_code
        == call(body, headers).status_code
        == (200 if event == "ping" else 202)
    )
    assert Call.objects.count() == 1


def test_a_system_hook_is_told_that_it_is_one(origin, repository):
    body = body_of(event_name="push")
    headers = {**gitlab(repository.secret, body), "X-Gitlab-Event": "System Hook"}
    answer = call(body, headers)
    assert (answer.status_code, "system hook" in answer.json()["ignored"]) == (202, True)
    assert not Job.objects.exists()


def test_another_event_is_not_pulled(origin, repository):
    body = body_of()
    headers = {**github(repository.secret, body), "X-GitHub-Event": "issues"}
    assert call(body, headers).status_code == 202
    assert not Job.objects.exists()
