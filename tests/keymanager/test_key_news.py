"""A person hears by mail of a key that was added to the account, whoever did it."""

import pytest

from tests.accounts.test_token_scopes import token_of
from tests.jobs.working import work_off

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEnrBpUWeP2djgTP+P7zfcaZ0h02Lo65z+XGWlZV8ZqG mel@laptop"


@pytest.mark.parametrize("who", ["member", "admin"])
def test_a_person_is_told_of_a_new_key(member_client, admin_client, member, mailoutbox, who):
    if who == "member":
        answer = member_client.post("/keymanager/mine/", {"keys": KEY})
    else:
        answer = admin_client.post(f"/keymanager/people/{member.pk}/keys/", {"keys": KEY})
    assert answer.status_code == 302
    work_off()
    assert [mail.to for mail in mailoutbox] == [["mel@example.org"]]
    assert "An SSH key was added" in mailoutbox[0].subject


def test_no_token_adds_or_deletes_a_key(client, member):
    headers = token_of(member, "read", "keymanager", "everything")
    assert client.post("/keymanager/mine/", {"keys": KEY}, headers=headers).status_code == 403
    assert client.get("/keymanager/mine/", headers=headers).json() == {"keys": []}
    assert not member.ssh_keys.exists()
