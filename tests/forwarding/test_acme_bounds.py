"""A hostile certificate authority costs bounded memory and time, and is told as one that cannot be reached."""

import time

import pytest

from forwarding.acme_client import Authority, new_key
from forwarding.acme_troubles import AuthorityAway
from tests.hostile_http import BOMB, DEEP, ENDLESS_LINES, TOO_MUCH, answering, plainly
from tests.hosts.hostile import memory_growth

ANSWERS = {**TOO_MUCH, **ENDLESS_LINES, "bomb": BOMB, "deep": DEEP}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_whatever_it_answers_is_cut(answer) -> None:
    began = time.monotonic()
    with answering(answer) as port, memory_growth() as grown, pytest.raises(AuthorityAway):
        Authority(f"http://127.0.0.1:{port}/directory", new_key()).sign_in()
    assert time.monotonic() - began < 20
    assert grown() < 32


def test_it_leads_nowhere_else() -> None:
    asked: list[int] = []
    with answering(lambda _connection: asked.append(1)) as other:
        to = b"Location: http://127.0.0.1:%d/" % other
        with answering(plainly(b"", to, status=b"302 Found")) as port, pytest.raises(AuthorityAway):
            Authority(f"http://127.0.0.1:{port}/directory", new_key()).sign_in()
    assert not asked
