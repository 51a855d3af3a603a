"""The embedded broker by itself."""

import threading
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

from gestion.celery import app
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "broker").mkdir()
    return tmp_path / "broker"


def connect(folder: Path) -> Connection:
    assert app  # it knows the transport's name
    options = {"data_folder_in": str(folder), "data_folder_out": str(folder), "polling_interval": 0.01}
    return Connection("embedded://here", transport_options=options)


def take_all(connection: Connection, queue: str) -> list[int]:
    found: list[int] = []
    simple = connection.SimpleQueue(queue)
    while True:
        try:
            message = simple.get(timeout=0.5)
        except Empty:
            return found
        message.ack()
        found.append(message.payload)


def test_messages_come_in_order_and_to_their_queue(folder):
    with connect(folder) as broker:
        for number in range(5):
            broker.SimpleQueue("a").put(number)
        broker.SimpleQueue("b").put(99)
        assert take_all(broker, "a") == list(range(5))
        assert take_all(broker, "b") == [99]
    assert list(folder.iterdir()) == []


def test_every_message_is_taken_once_by_one_of_several(folder):
    taken: list[int] = []

    def take() -> None:
        with connect(folder) as mine:
            taken.extend(take_all(mine, "a"))

    with connect(folder) as broker:
        for number in range(200):
            broker.SimpleQueue("a").put(number)
    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(200))


def test_a_broken_or_foreign_file_blocks_nothing(folder):
    (folder / "00000000000000000000_x.a.msg").write_text("{half a mess")
    (folder / "README").write_text("hello")
    with connect(folder) as broker:
        broker.SimpleQueue("a").put(1)
        assert take_all(broker, "a") == [1]


def test_a_message_that_comes_while_the_queue_is_empty_is_found(folder):
    with connect(folder) as broker, connect(folder) as sender:
        queue = broker.SimpleQueue("a")
        with pytest.raises(Empty):
            queue.get(timeout=0.3)
        for number in range(20):
            threading.Timer(0.01 * (number % 3), sender.SimpleQueue("a").put, [number]).start()
            assert queue.get(timeout=PATIENCE_SECONDS).payload == number
