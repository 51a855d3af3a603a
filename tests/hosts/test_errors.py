"""Errors say what to do, and travel between processes."""

import pickle

import pytest

from hosts import errors


@pytest.mark.parametrize(
    "error",
    [
        errors.Unreachable("web1", "connection refused"),
        errors.HostKeyUnknown("web1", key="ssh-ed25519 AAAA", fingerprint="SHA256:x"),
        errors.HostKeyChanged("web1", expected="SHA256:x", found="SHA256:y", key="ssh-ed25519 BBBB"),
        errors.TimedOut("web1", "cat", seconds=2.5),
        errors.CommandFailed("web1", "no % such file", command="cat /x%s", code=1),
        errors.CheckFailed("web1", "100% wrong", command="nginx -t"),
        errors.ForeignFile("web1", paths=["/etc/a", "/etc/b"]),
        errors.Drift("web1"),
        errors.RollbackFailed("web1", "still down"),
    ],
)
def test_an_error_is_the_same_after_travelling_to_another_process(error: errors.HostError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__
    assert "web1" in str(error)


@pytest.mark.parametrize("words", ["The folder is there already.", "The folder is there already"])
def test_a_host_that_speaks_in_sentences_brings_no_second_full_stop(words: str) -> None:
    said = str(errors.CheckFailed("files1", words, command="samba-shares check"))
    assert "The folder is there already. Nothing was changed" in said
