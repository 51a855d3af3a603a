"""Asking others over HTTP: bounded in bytes and in time, whatever the receiver does."""

import time

import pytest
import requests

from hosts.bounds import KIB, TooMuch, TooSlow
from hosts.outgoing import BoundedAdapter, new_session
from tests.hostile_http import BOMB, TOO_MUCH, TOO_SLOW, answering, plainly
from tests.hosts.hostile import memory_growth


def ask(port: int, adapter: BoundedAdapter) -> requests.Response:
    return new_session(adapter).get(f"http://127.0.0.1:{port}/", timeout=(10.0, 5.0))


@pytest.mark.parametrize("answer", TOO_SLOW.values(), ids=TOO_SLOW.keys())
def test_a_drip_ends_with_the_time_of_the_request(answer) -> None:
    adapter, began = BoundedAdapter(seconds=1.0), time.monotonic()
    with answering(answer) as port, pytest.raises(requests.RequestException):
        ask(port, adapter)
    assert isinstance(adapter.allowance.broken, TooSlow)
    assert time.monotonic() - began < 30  # the drip itself never ends


@pytest.mark.parametrize("answer", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_an_answer_without_end_is_cut(answer) -> None:
    adapter = BoundedAdapter(size=300 * KIB)
    with answering(answer) as port, memory_growth() as grown, pytest.raises(requests.RequestException):
        ask(port, adapter)
    assert isinstance(adapter.allowance.broken, TooMuch)
    assert grown() < 16


def test_an_encoded_answer_is_refused() -> None:
    with answering(BOMB) as port, pytest.raises(requests.exceptions.ContentDecodingError):
        ask(port, BoundedAdapter())


def test_an_answer_that_leads_to_bytes_that_are_no_text_is_refused() -> None:
    answer = plainly(b"", b"Location: \xff\xfe", status=b"302 Found")
    with answering(answer) as port, pytest.raises(requests.exceptions.InvalidHeader):
        ask(port, BoundedAdapter())


def test_after_one_that_was_cut_the_next_request_is_asked_anew() -> None:
    adapter = BoundedAdapter(size=300 * KIB)
    with answering(TOO_MUCH["body"]) as port, pytest.raises(requests.RequestException):
        ask(port, adapter)
    with answering(plainly(b"fine")) as port:
        assert ask(port, adapter).content == b"fine"
    assert adapter.allowance.broken is None
