"""Web hooks lead outside alone, to the address that was looked at, and no receiver can hold or fill the panel."""

import socket
import time
from ipaddress import ip_address

import pytest

from accounts.actors import Actor
from jobs.models import JobState
from notifications import targets
from notifications.checks import check_webhook_networks
from notifications.models import Delivery, Webhook
from notifications.services import add_webhook
from notifications.telling import tell
from tests.hostile_http import (
    BOMB,
    ENDLESS_LINES,
    TOO_MUCH,
    answering,
    plainly,
)
from tests.hosts.hostile import memory_growth
from tests.jobs.working import work_off
from tests.notifications.receivers import HookServer, serving

JSON = {"Accept": "application/json"}
TOPIC = "jobs.failed"
INSIDE = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd12::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2001:0:7f00:1::1",
    "::ffff:0:127.0.0.1",
]
OUTSIDE = ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
LOOPBACK_IN_DISGUISE = ["localhost", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "[::1]", "0"]


@pytest.mark.parametrize("text", INSIDE)
def test_addresses_that_lead_inside_are_not_reached(text):
    assert not targets.may_reach(ip_address(text))


@pytest.mark.parametrize("text", OUTSIDE)
def test_public_addresses_are_reached(text):
    assert targets.may_reach(ip_address(text))


def test_the_setting_opens_a_network_and_no_other(settings):
    settings.WEBHOOK_NETWORKS = ["10.0.5.0/24", " fd00:1::/64", "nonsense"]
    assert targets.may_reach(ip_address("10.0.5.7"))
    assert targets.may_reach(ip_address("::ffff:10.0.5.7"))
    assert targets.may_reach(ip_address("fd00:1::2"))
    assert not targets.may_reach(ip_address("10.0.6.7"))
    assert [message.id for message in check_webhook_networks()] == ["notifications.E001"]


@pytest.mark.parametrize("host", LOOPBACK_IN_DISGUISE)
def test_no_way_of_writing_loopback_gets_through(host):
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(targets.NotAllowed):
        targets.connect(host, listener.getsockname()[1], 2.0)
    with pytest.raises(targets.NotAllowed):
        targets.check_target(host)


def test_a_name_is_resolved_once_and_its_second_answer_counts_for_nothing(monkeypatch):
    answers = iter(["203.0.114.1", "127.0.0.1"])  # the first is public, and nobody answers there

    def resolver(_host, port, **_more):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        with pytest.raises(OSError) as failed:
            targets.connect("rebinding.example.org", listener.getsockname()[1], 0.5)
        assert not isinstance(failed.value, targets.NotAllowed)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert next(answers) == "127.0.0.1"


def test_a_name_with_one_address_inside_is_refused_as_a_whole(monkeypatch):
    def resolver(_host, port, **_more):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("1.1.1.1", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with pytest.raises(targets.NotAllowed, match=r"10\.0\.0\.1"):
        targets.connect("both.example.org", 80, 0.5)


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "localhost"])
def test_the_form_says_by_the_field_that_a_target_lies_inside(admin_client, host):
    data = {"name": "chat", "url": f"http://{host}:8080/x", "topics": [TOPIC], "active": "on"}
    answer = admin_client.post("/notifications/webhooks/new/", data, headers=JSON)
    assert answer.status_code == 422
    assert "WEBHOOK_NETWORKS" in str(answer.json()["errors"]["url"])
    assert not Webhook.objects.exists()


@pytest.fixture
def actor(admin) -> Actor:
    return Actor(admin, admin.username, "192.0.2.7")


def told_of_one(actor: Actor, url: str) -> str:
    """Tell a web hook at this URL of something; the error of its delivery."""
    add_webhook(actor, name="chat", url=url, topics=[TOPIC], active=True)
    tell(TOPIC, "one")
    (job,) = work_off()
    assert job.state == JobState.WAITING
    return Delivery.objects.get().error


@pytest.mark.django_db(transaction=True)
def test_a_target_inside_that_got_past_the_form_is_not_asked(actor):
    with serving(HookServer()) as server:
        assert "WEBHOOK_NETWORKS" in told_of_one(actor, server.url)
        assert not server.posts


@pytest.mark.django_db(transaction=True)
def test_proxies_of_the_environment_are_not_asked(actor, monkeypatch, settings):
    settings.WEBHOOK_NETWORKS = ["127.0.0.2/32"]
    with serving(HookServer()) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{proxy.server_port}")
        assert "no connection" in told_of_one(actor, "http://127.0.0.2:9/")
        assert not proxy.posts


HOSTILE = {f"endless {name}": answer for name, answer in (TOO_MUCH | ENDLESS_LINES).items()}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("answer", [*HOSTILE.values(), BOMB], ids=[*HOSTILE.keys(), "bomb"])
def test_of_an_answer_little_is_read(actor, settings, answer):
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    add_webhook(actor, name="chat", url="http://127.0.0.1:1/", topics=[TOPIC], active=True)
    began = time.monotonic()
    with answering(answer) as port, memory_growth() as grown:
        Webhook.objects.update(url=f"http://127.0.0.1:{port}/")
        tell(TOPIC, "one")
        work_off()
    assert time.monotonic() - began < 60  # the answer itself never ends
    assert grown() < 32


@pytest.mark.django_db(transaction=True)
def test_a_redirect_to_another_host_is_not_followed(actor, settings):
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    with serving(HookServer()) as other:
        to = f"Location: {other.url}".encode()
        with answering(plainly(b"", to, status=b"307 Go")) as port:
            assert "307" in told_of_one(actor, f"http://127.0.0.1:{port}/")
        assert not other.posts
