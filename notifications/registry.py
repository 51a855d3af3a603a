"""What people can be told of. Each room registers its topics in its `apps.py`; this room knows none by name."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Topic:
    """One kind of news, such as "backups.run_wrong"; `title` says in a form what somebody will hear of."""

    name: str
    title: Any  # a lazy translation
    order: int = 50


_topics: dict[str, Topic] = {}


def register(*topics: Topic) -> None:
    """Add a room's topics; called once from its `apps.py`."""
    _topics.update({topic.name: topic for topic in topics})


def topics() -> list[Topic]:
    """All topics, in order."""
    return sorted(_topics.values(), key=lambda topic: (topic.order, topic.name))


def choices() -> list[tuple[str, Any]]:
    """All topics for a form."""
    return [(topic.name, topic.title) for topic in topics()]


def get(name: str) -> Topic:
    """The topic of this name; raises LookupError, so that a misspelt topic is not silently told to nobody."""
    try:
        return _topics[name]
    except KeyError:
        raise LookupError(f"No room has registered the topic {name!r}.") from None
