"""Passwords by mail: links for one use, that tell nobody who has an account."""

import datetime
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections
from django.test import Client

from accounts import leaving, mailing, password_links, services
from accounts.actors import Actor
from accounts.models import AuditEntry, Session, User
from accounts.password_links import TOKENS, LinkTokens, link_for
from jobs.models import Job
from tests.jobs.working import work_off
from tests.waiting import PATIENCE_SECONDS

PASSWORD, NEW = "correct horse battery", "another long password"
PAIR = {"password": NEW, "password_again": NEW}
ASK = "/sign-in/forgotten/"
JSON = {"Accept": "application/json"}


def path_in(text: str) -> str:
    found = re.search(r"https?://[^/\s]+(/password/\S+)", text)
    assert found, text
    return found[1]


def path_of(user: User, why: str = "reset") -> str:
    return path_in(link_for(User.objects.get(pk=user.pk), why))


def test_a_link_by_mail_sets_a_password_once_and_signs_nobody_in(client, member, mailoutbox):
    there = Client()
    there.force_login(member)
    client.post(ASK, {"email": "MEL@example.org"})
    work_off()
    assert mailoutbox[0].to == ["mel@example.org"]
    path = path_in(mailoutbox[0].body)
    assert client.get(path).status_code == 200
    assert client.post(path, PAIR).headers["Location"] == "/sign-in/"
    assert client.get("/").status_code == 302
    assert there.get("/").status_code == 302
    assert User.objects.get(pk=member.pk).check_password(NEW)
    assert client.post(path, PAIR).status_code == 404
    assert AuditEntry.objects.get(verb="user.set_password").actor == member


@pytest.mark.parametrize("email", ["mel@example.org", "nobody@example.org", "gone@example.org"])
def test_the_answer_is_the_same_whoever_has_the_address(client, member, mailoutbox, email):
    User.objects.create_user("gone", PASSWORD, email="gone@example.org", is_active=False)
    answer = client.post(ASK, {"email": email}, headers=JSON)
    assert answer.status_code == 200
    assert "If somebody here has this address" in answer.json()["message"]
    assert Job.objects.filter(work="accounts.mail_asked_link").count() == 1
    work_off()
    assert len(mailoutbox) == (email == "mel@example.org")


def test_the_link_is_in_no_row(client, member, mailoutbox):
    client.post(ASK, {"email": "mel@example.org"})
    work_off()
    token = path_in(mailoutbox[0].body).split("/")[-2]
    for job in Job.objects.all():
        assert token not in f"{job.args} {job.title} {list(job.lines.values_list('text', flat=True))}"


def test_an_address_gets_three_links_an_hour_and_is_not_told(client, member, mailoutbox):
    for number in range(5):
        answer = Client(REMOTE_ADDR=f"203.0.113.{number}").post(ASK, {"email": "mel@example.org"})
        assert answer.status_code == 302
    work_off()
    assert len(mailoutbox) == 3


def test_one_place_asks_five_times_an_hour(client, db):
    for number in range(5):
        assert client.post(ASK, {"email": f"m{number}@example.org"}).status_code == 302
    assert client.post(ASK, {"email": "m@example.org"}).status_code == 429


def test_without_mail_the_pages_say_so_and_nothing_is_sent(settings, client, admin_client, member):
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert "cannot send mail" in client.get(ASK).content.decode()
    assert client.post(ASK, {"email": "mel@example.org"}, headers=JSON).status_code == 409
    assert not Job.objects.exists()
    assert admin_client.post(f"/users/{member.pk}/send-link/", headers=JSON).status_code == 409
    assert "cannot send mail" in admin_client.get("/users/new/").content.decode()
    assert "cannot send mail" in admin_client.get(f"/users/{member.pk}/password/").content.decode()


def test_a_new_person_is_invited(admin_client, mailoutbox):
    form = {"username": "kim", "email": "kim@example.org", "is_active": "on", "invite": "on"}
    admin_client.post("/users/new/", form)
    work_off()
    assert "Your user name is kim." in mailoutbox[0].body
    client = Client()
    assert client.post(path_in(mailoutbox[0].body), PAIR).status_code == 302
    assert User.objects.get(username="kim").check_password(NEW)


@pytest.mark.parametrize("missing", ["email", "is_active"])
def test_an_invitation_needs_an_address_and_an_active_account(admin_client, missing):
    form = {"username": "kim", "email": "kim@example.org", "is_active": "on", "invite": "on"}
    del form[missing]
    answer = admin_client.post("/users/new/", form)
    assert "invite" in answer.context["form"].errors


@pytest.mark.parametrize(
    "how", ["switched off", "signed in", "address changed", "password changed", "deleted"]
)
def test_a_link_ends_with_what_it_was_made_for(client, member, admin, how):
    path = path_of(member)
    if how == "switched off":
        User.objects.filter(pk=member.pk).update(is_active=False)
    elif how == "signed in":
        client.post("/sign-in/", {"username": "mel", "password": PASSWORD})
    elif how == "address changed":
        User.objects.filter(pk=member.pk).update(email="other@example.org")
    elif how == "password changed":
        member.set_password(NEW)
        member.save()
    else:
        member.delete()
    assert Client().get(path).status_code == 404
    assert Client().post(path, PAIR).status_code == 404


@pytest.mark.parametrize("why", ["reset", "invite"])
@pytest.mark.parametrize("how", ["switched off and on", "left and came back", "address there and back"])
def test_nothing_revives_a_link(member, admin, why, how):
    path, actor = path_of(member, why), Actor(admin, "ada")
    if how == "switched off and on":
        services.change_user(actor, member, is_active=False)
    elif how == "left and came back":
        leaving.take_access(actor, member)
    else:
        services.change_user(actor, member, email="other@example.org")
    services.change_user(actor, member, is_active=True, email="mel@example.org")
    assert Client().get(path).status_code == 404


@pytest.mark.parametrize(
    ("first", "second", "good"),
    [("reset", "reset", False), ("invite", "invite", False), ("invite", "reset", True)],
)
def test_a_new_link_ends_the_earlier_one_of_its_kind(member, mailoutbox, first, second, good):
    for why in (first, second):
        mailing.mail_link(User.objects.get(pk=member.pk), why)
    earlier, later = (path_in(mail.body) for mail in mailoutbox)
    assert (Client().get(earlier).status_code == 200) is good
    assert Client().get(later).status_code == 200


def test_setting_the_password_ends_links_of_both_kinds(client, member):
    reset, invite = path_of(member, "reset"), path_of(member, "invite")
    assert client.post(reset, PAIR).status_code == 302
    assert client.get(invite).status_code == 404


def test_of_two_that_use_a_link_at_the_same_moment_one_sets_the_password(member):
    name, token = path_of(member).split("/")[2:4]
    assert password_links.person_of(name, token)  # as both forms found it before either saved
    assert services.use_link(None, name, token, NEW)
    assert services.use_link(None, name, token, "the password of a thief") is None
    assert User.objects.get(pk=member.pk).check_password(NEW)
    assert AuditEntry.objects.filter(verb="user.set_password").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_use_a_link_once(member):
    path, barrier = path_of(member), Barrier(2)

    def use(password: str) -> int:
        client = Client()
        client.get(path)
        barrier.wait(timeout=PATIENCE_SECONDS)
        try:
            return client.post(path, {"password": password, "password_again": password}).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(use, [NEW, "the password of a thief"])) == [302, 404]
    assert AuditEntry.objects.filter(verb="user.set_password").count() == 1


def test_a_link_goes_to_no_other_site_as_the_page_before(client, member):
    for path in (path_of(member), "/password/MQ/reset-x/"):
        answer = client.get(path)
        assert answer.headers["Referrer-Policy"] in ("same-origin", "no-referrer")
        assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(("why", "hours"), [("reset", 1), ("invite", 72)])
def test_a_link_ends_by_its_age(member, why, hours):
    class Earlier(LinkTokens):
        """Makes links of so many minutes ago."""

        minutes = 0

        def _now(self) -> datetime.datetime:
            return datetime.datetime.now() - datetime.timedelta(minutes=self.minutes)  # noqa: DTZ005

    made = Earlier(why, hours, TOKENS[why].counted_by)
    for minutes, good in ((hours * 60 - 5, True), (hours * 60 + 5, False)):
        made.minutes = minutes
        token = f"{why}-{made.make_token(member)}"
        name = path_of(member).split("/")[2]
        assert (password_links.person_of(name, token) is not None) is good


@pytest.mark.parametrize(
    ("name", "token"),
    [("MQ", "invite-x"), ("!!", "reset-x"), ("MQ", "nothing"), ("OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "reset-a-b")],
)
def test_nonsense_is_no_link(client, member, name, token):
    assert client.get(f"/password/{name}/{token}/").status_code == 404


def test_a_link_of_one_kind_is_none_of_the_other(client, member):
    path = path_of(member, "reset").replace("/reset-", "/invite-")
    assert client.get(path).status_code == 404


def test_a_link_does_not_go_round_the_second_factor(client, member):
    client.post(path_of(member), PAIR)
    assert not Session.objects.filter(user=member).exists()
