"""Everybody chooses for himself; web hooks are the admins', and their URLs are shown to nobody."""

import pytest

from accounts.models import AuditEntry
from jobs.models import Job
from notifications.mailing import mail_waiting
from notifications.models import Delivery, DeliveryState, Message, Webhook

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}


def test_where_no_mail_can_be_sent_the_page_says_so_and_no_news_is_called_sent(
    member_client, member, settings
):
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    member.email = "bob@example.org"
    member.save()
    page = member_client.get("/notifications/").content.decode()
    assert "This panel cannot send mail (EMAIL_URL is not set)" in page
    assert "Send me a test" not in page
    assert member_client.post("/notifications/try/", headers=JSON).status_code == 409
    message = Message.objects.create(topic="", title="It works")
    Delivery.objects.create(message=message, person=member)
    mail_waiting(member)
    assert Delivery.objects.get().state == DeliveryState.FAILED
    assert "EMAIL_URL is not set" in Delivery.objects.get().error


def test_a_program_is_told_the_secret_when_it_is_made_and_never_again(admin_client):
    data = {"name": "chat", "url": "https://chat.example.org/h", "topics": ["jobs.failed"]}
    made = admin_client.post("/notifications/webhooks/new/", data, "application/json", headers=JSON).json()
    hook = Webhook.objects.get()
    assert (made["id"], made["secret"]) == (hook.pk, hook.secret)
    renewed = admin_client.post(f"{hook.get_absolute_url()}secret/", headers=JSON).json()["secret"]
    hook.refresh_from_db()
    assert renewed == hook.secret != made["secret"]
    assert hook.secret not in admin_client.get(hook.get_absolute_url(), headers=JSON).content.decode()


def test_a_member_chooses_what_to_hear_of(member_client, member):
    assert member_client.post("/notifications/", {"topics": ["jobs.failed"]}).status_code == 302
    assert list(member.subscriptions.values_list("topic", flat=True)) == ["jobs.failed"]
    assert AuditEntry.objects.filter(verb="notifications.choose").count() == 1
    assert b"checked" in member_client.get("/notifications/").content
    member_client.post("/notifications/", {})
    assert not member.subscriptions.exists()


def test_an_unknown_topic_is_refused_and_changes_nothing(member_client, member):
    answer = member_client.post("/notifications/", {"topics": ["no.such"]}, headers=JSON)
    assert answer.status_code == 422
    assert "topics" in answer.json()["errors"]
    assert not member.subscriptions.exists()


def test_without_an_address_no_test_mail_is_sent(member_client, member):
    member.email = ""
    member.save()
    assert member_client.post("/notifications/try/", headers=JSON).status_code == 409
    assert not Job.objects.exists()


def test_a_web_hook_is_added_changed_and_deleted_and_its_url_never_shown(admin_client):
    data = {
        "name": "chat",
        "url": "https://chat.example.org/h/s3cret",
        "topics": ["jobs.failed"],
        "active": "on",
    }
    assert admin_client.post("/notifications/webhooks/new/", data).status_code == 302
    hook = Webhook.objects.get()
    for page in (f"/notifications/webhooks/{hook.pk}/", f"/notifications/webhooks/{hook.pk}/edit/"):
        assert b"s3cret" not in admin_client.get(page).content
    admin_client.post(f"/notifications/webhooks/{hook.pk}/edit/", {**data, "url": "", "name": "talk"})
    hook.refresh_from_db()
    assert (hook.name, hook.url) == ("talk", data["url"])
    before = hook.secret
    admin_client.post(f"/notifications/webhooks/{hook.pk}/secret/")
    hook.refresh_from_db()
    assert hook.secret != before
    admin_client.post(f"/notifications/webhooks/{hook.pk}/delete/")
    assert not Webhook.objects.exists()
    told = "".join(str(entry.before) + str(entry.after) for entry in AuditEntry.objects.all())
    assert "s3cret" not in told
    assert before not in told


@pytest.mark.parametrize(
    "url", ["", "ftp://example.org/", "javascript:alert(1)", "https://user:pass@example.org/", "https://a b/"]
)
def test_an_address_that_cannot_be_posted_to_is_refused(admin_client, url):
    answer = admin_client.post(
        "/notifications/webhooks/new/", {"name": "x", "url": url, "active": "on"}, headers=JSON
    )
    assert answer.status_code == 422
    assert "url" in answer.json()["errors"]
    assert not Webhook.objects.exists()
