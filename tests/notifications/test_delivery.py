"""News reach a real mail server and a real web hook; what cannot be delivered waits, and is told once."""

import hashlib
import hmac
import json
from collections.abc import Iterator

import pytest

from accounts.actors import Actor
from accounts.models import User
from jobs.models import Job, JobState
from jobs.services import start_job
from notifications.models import Delivery, Message, Webhook
from notifications.services import add_webhook, choose_topics, try_mail
from notifications.tasks import delete_old, job_in_trouble
from notifications.telling import tell
from tests.jobs.working import work_off
from tests.notifications.receivers import HookServer, MailServer, send_mail_to, serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]
TOPIC = "jobs.failed"


@pytest.fixture
def mail_server(settings) -> Iterator[MailServer]:
    with serving(MailServer()) as server:
        send_mail_to(server, settings)
        yield server


@pytest.fixture
def hook_server(settings) -> Iterator[HookServer]:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    with serving(HookServer()) as server:
        yield server


@pytest.fixture
def actor(admin) -> Actor:
    return Actor(admin, admin.username, "192.0.2.7")


@pytest.fixture
def hook(actor, hook_server) -> Webhook:
    return add_webhook(actor, name="chat", url=hook_server.url, topics=[TOPIC], active=True)


def send_now() -> list[Job]:
    Job.objects.filter(state=JobState.WAITING).update(not_before="2020-01-01T00:00:00Z")
    return work_off()


def test_several_news_of_one_moment_are_one_mail(actor, admin, mail_server):
    choose_topics(actor, admin, [TOPIC])
    for number in range(3):
        tell(TOPIC, f"Backup {number}\nfailed", "the disk is full", path=f"/jobs/{number}/")
    send_now()
    (mail,) = mail_server.mails
    assert mail["Subject"] == "[Gestion] Backup 0 failed, and 2 more"
    assert mail["To"] == "ada@example.org"
    assert "http://127.0.0.1:8000/jobs/2/" in mail.get_content()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}


def test_only_admins_hear_of_what_no_rule_opens_to_others(actor, member, mail_server):
    choose_topics(actor, member, [TOPIC])
    assert tell(TOPIC, "secret") is None
    assert tell(TOPIC, "theirs", may_see=lambda person: person.pk == member.pk) is not None
    send_now()
    assert [mail["To"] for mail in mail_server.mails] == ["mel@example.org"]


def test_a_person_who_may_not_sign_in_any_more_hears_of_nothing(actor, admin, member, mail_server):
    choose_topics(actor, member, [TOPIC])
    tell(TOPIC, "x", may_see=lambda _person: True)
    User.objects.filter(pk=member.pk).update(is_active=False)
    send_now()
    assert not mail_server.mails
    assert tell(TOPIC, "y", may_see=lambda _person: True) is None


def test_a_mail_server_that_refuses_gets_it_later(actor, admin, mail_server):
    mail_server.refuse = True
    try_mail(actor, admin)
    (job,) = send_now()
    assert job.state == JobState.WAITING
    assert "451" in job.error or "not now" in job.error
    mail_server.refuse = False
    send_now()
    assert [mail["Subject"] for mail in mail_server.mails] == ["[Gestion] It works"]


def test_a_web_hook_gets_each_message_signed(hook, hook_server):
    tell(TOPIC, "one")
    tell(TOPIC, "two", "words", path="/jobs/7/")
    send_now()
    assert [json.loads(body)["title"] for _path, _headers, body in hook_server.posts] == ["one", "two"]
    _path, headers, body = hook_server.posts[1]
    signed = headers["X-Gestion-Timestamp"].encode() + b"." + body
    expected = hmac.new(hook.secret.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Gestion-Signature"] == f"sha256={expected}"
    assert json.loads(body)["url"] == "http://127.0.0.1:8000/jobs/7/"


@pytest.mark.parametrize("status", [302, 401, 500])
def test_a_web_hook_that_refuses_is_asked_again_and_its_url_is_in_no_log(hook, hook_server, status):
    hook_server.status = status
    tell(TOPIC, "one")
    (job,) = send_now()
    assert job.state == JobState.WAITING
    assert str(status) in Delivery.objects.get().error
    assert "hidden-in-the-url" not in job.error + "".join(line.text for line in job.lines.all())
    assert len(hook_server.posts) == 1, "a redirect was followed"
    hook_server.status = 200
    send_now()
    assert Delivery.objects.get().state == "sent"


def test_a_receiver_that_is_not_there_does_not_show_the_url(actor, settings):
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    hook = add_webhook(actor, name="gone", url="http://127.0.0.1:9/?key=hidden", topics=[TOPIC], active=True)
    tell(TOPIC, "one")
    (job,) = send_now()
    assert "ConnectionError" in job.error
    assert "hidden" not in job.error
    Job.objects.filter(pk=job.pk).update(state=JobState.FAILED)
    job.refresh_from_db()
    job_in_trouble(job)
    assert Delivery.objects.get(webhook=hook).state == "failed"


def test_a_failed_job_is_told_to_those_who_may_see_it(actor, admin, member, mail_server):
    choose_topics(actor, admin, [TOPIC])
    choose_topics(actor, member, [TOPIC])
    start_job(actor, "jobs.check", "Check the worker", {"seconds": 0, "lines": 0, "fail": True})
    send_now()
    send_now()
    assert [(mail["To"], mail["Subject"]) for mail in mail_server.mails] == [
        ("ada@example.org", "[Gestion] Check the worker: failed")
    ]


def test_old_news_are_deleted(actor, admin, mail_server, settings):
    choose_topics(actor, admin, [TOPIC])
    tell(TOPIC, "x")
    delete_old()
    assert Message.objects.count() == 1
    Message.objects.update(at="2020-01-01T00:00:00Z")
    delete_old()
    assert not Message.objects.exists()
