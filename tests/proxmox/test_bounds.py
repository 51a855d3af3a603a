"""A hostile Proxmox API: whatever it answers costs bounded memory and time, and a typed error says so."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.pve.certificate import ready_certificate
from proxmox.client import GuestNow, Login, NodeApi, errors
from proxmox.client.session import Endpoint
from tests.hostile_http import (
    BOMB,
    DEEP,
    ENDLESS_LINES,
    TOO_MUCH,
    TOO_SLOW,
    Answer,
    answering,
    plainly,
)
from tests.hosts.hostile import memory_growth

TOKEN = Login("root@pam!panel", "secret")
PASSWORD = Login("root@pam", "secret")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return ready_certificate(tmp_path_factory.mktemp("pve") / "api.pem", ["pve1", "127.0.0.1"])


@contextmanager
def hostile_api(answer: Answer, certificate, login: Login = TOKEN) -> Iterator[NodeApi]:
    """The client of an API that answers so; what is asked of it costs little memory and time."""
    began = time.monotonic()
    with answering(answer, certificate.context()) as port, memory_growth() as grown:
        where = Endpoint("evil1", "pve1", "127.0.0.1", login, port, certificate.fingerprint)
        with NodeApi(where, read_seconds=2.0, write_seconds=2.0) as api:
            yield api
    assert grown() < 64
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("login", [TOKEN, PASSWORD], ids=["token", "password"])
@pytest.mark.parametrize("answer", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_an_answer_without_end_is_cut_and_said(answer, login, certificate) -> None:
    with hostile_api(answer, certificate, login) as api:
        with pytest.raises(errors.AnswerTooLong, match="evil1 does not answer: it sent more than 3 MiB"):
            api.version()
        with pytest.raises(errors.AnswerTooLong):
            api.power("lxc", 101, "stop")


@pytest.mark.parametrize("answer", ENDLESS_LINES.values(), ids=ENDLESS_LINES.keys())
def test_lines_without_end_are_cut(answer, certificate) -> None:
    with hostile_api(answer, certificate) as api, pytest.raises(errors.NoAnswer):
        api.version()


@pytest.mark.parametrize("answer", TOO_SLOW.values(), ids=TOO_SLOW.keys())
def test_a_drip_ends_with_the_time_of_a_call(answer, certificate) -> None:
    with hostile_api(answer, certificate) as api, pytest.raises(errors.NoAnswer, match="6 seconds"):
        api.version()


@pytest.mark.parametrize("login", [TOKEN, PASSWORD], ids=["token", "password"])
def test_an_answer_that_would_grow_when_unpacked_is_not_unpacked(certificate, login) -> None:
    with hostile_api(BOMB, certificate, login) as api, pytest.raises(errors.Refused, match="encoded"):
        api.version()


@pytest.mark.parametrize("login", [TOKEN, PASSWORD], ids=["token", "password"])
@pytest.mark.parametrize("body", [None, b"[]", b"7", b'{"other": 1}', b"null"], ids=repr)
def test_json_of_another_form_is_no_answer_of_proxmox(certificate, body, login) -> None:
    answer = DEEP if body is None else plainly(body)
    with (
        hostile_api(answer, certificate, login) as api,
        pytest.raises(errors.Refused, match="not the Proxmox"),
    ):
        api.version()


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere(certificate) -> None:
    asked = []
    with answering(lambda _connection: asked.append(1), certificate.context()) as elsewhere:
        to = b"Location: https://127.0.0.1:%d/" % elsewhere
        with (
            hostile_api(plainly(b"", to, status=b"307 Go"), certificate) as api,
            pytest.raises(errors.Refused, match="leads elsewhere"),
        ):
            api.version()
    assert not asked


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 10**400, 2**70, "1e999", [], None])
def test_numbers_that_no_row_can_hold_count_as_none(number) -> None:
    one = GuestNow.of("lxc", {"vmid": 101, "mem": number, "cpu": number})
    assert (one.memory_used, one.cpu) == (0, 0.0)
