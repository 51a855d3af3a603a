"""Ask the pages of servers as a program does."""

from typing import Any

from django.test import Client

JSON: dict[str, Any] = {"headers": {"accept": "application/json"}}


def post_json(client: Client, url: str, data: dict, status: int = 200) -> dict:
    """What a program gets for this; the status must be the one that is named."""
    answer = client.post(url, data, content_type="application/json", **JSON)
    assert answer.status_code == status, answer.content
    return answer.json()
