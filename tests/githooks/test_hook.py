"""A proven push is pulled; what is forged, replayed, unsigned or about something else changes nothing."""

import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.test import Client

from accounts.models import AuditEntry
from fabrun.catalogue import catalogue
from githooks.models import Pull, Repository
from githooks.pulling import PullFailed, alone, reason_in
from jobs.models import Job
from tests.githooks.calling import (
    SENDERS,
    URL,
    bitbucket,
    body_of,
    call,
    forgejo,
    gitea,
    github,
    gitlab,
    gitlab_signed,
    gogs,
    nothing_happened,
    plain,
)
from tests.githooks.conftest import git
from tests.jobs.working import work_off

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("sender", SENDERS)
def test_a_proven_push_is_pulled(origin, repository, sender):
    pushed = origin.push("new.py", "x = 1\n")
    body = body_of()
    answer = call(body, sender(repository.secret, body))
    assert answer.status_code == 200, answer.content
    (job,) = work_off()
    assert job.state == "done", job.error
    assert origin.pulled == pushed
    assert Pull.objects.get().changed
    assert AuditEntry.objects.get().verb == "repository.hook"


def test_what_is_pulled_may_be_read_by_a_web_server_though_the_panels_own_files_may_not(origin, repository):
    origin.push("new.py", "x = 1\n")
    before = os.umask(0o077)
    try:
        call(body_of(), SENDERS[0](repository.secret, body_of()))
        work_off()
    finally:
        os.umask(before)
    assert (origin.clone / "new.py").stat().st_mode & 0o777 == 0o644


def test_a_signature_in_capitals_is_the_same(origin, repository):
    body = body_of()
    for name, value in github(repository.secret, body).items():
        if name.startswith("X-Hub"):
            assert call(body, {name: value.upper()}).status_code == 200


@pytest.mark.parametrize("sender", SENDERS)
def test_a_call_that_is_sent_again_changes_nothing(origin, repository, sender):
    body = body_of()
    headers = sender(repository.secret, body)
    assert call(body, headers).status_code == 200
    work_off()
    before = origin.pulled
    origin.push("new.py", "x = 1\n")
    assert call(body, headers).status_code == 409
    work_off()
    assert origin.pulled == before
    assert Job.objects.count() == 1


@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("wrong", ["", "guess", "another"])
def test_a_forged_call_changes_nothing(origin, repository, sender, wrong):
    before = origin.pulled
    origin.push("new.py", "x = 1\n")
    body = body_of()
    assert call(body, sender(wrong, body)).status_code == 403
    nothing_happened(origin, before)


@pytest.mark.parametrize("sender", [github, gitea, forgejo, gogs, bitbucket, gitlab_signed, plain])
def test_a_signature_of_another_body_proves_nothing(origin, repository, sender):
    before = origin.pulled
    origin.push("new.py", "x = 1\n")
    headers = sender(repository.secret, body_of())
    assert call(body_of(extra=1), headers).status_code == 403
    nothing_happened(origin, before)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hub-Signature-256": ""},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature": "sha1=da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        {"X-Hub-Signature": "sha256="},
        {"X-Gogs-Signature": ""},
        {"webhook-signature": "v1,", "webhook-id": "1", "webhook-timestamp": "1"},
        {"webhook-signature": "v1,"},
        {"X-Gitlab-Token": ""},
        {"X-Gitea-Signature": ""},
        {"X-Gestion-Signature": "sha256=x"},
        {"X-Gestion-Signature": "sha256=x", "X-Gestion-Timestamp": "٣"},
        {"X-Gestion-Signature": "sha256=x", "X-Gestion-Timestamp": "9" * 400},
    ],
)
def test_an_unsigned_call_changes_nothing(origin, repository, headers):
    before = origin.pulled
    assert call(body_of(), headers).status_code == 403
    nothing_happened(origin, before)


def test_a_better_signature_that_is_wrong_is_not_outweighed_by_a_weaker_one(origin, repository):
    body = body_of()
    headers = {**github("wrong", body), **gitlab(repository.secret, body)}
    assert call(body, headers).status_code == 403
    nothing_happened(origin, origin.pulled)


@pytest.fixture
def now(monkeypatch) -> int:
    """The second that it is where signatures are checked, which does not pass."""
    second = int(time.time())
    monkeypatch.setattr("githooks.signatures.time", SimpleNamespace(time=lambda: float(second)))
    return second


@pytest.mark.parametrize("seconds", [-301, 301, -(10**9)])
def test_an_old_or_early_timestamp_proves_nothing(origin, repository, now, seconds):
    body = body_of()
    assert call(body, plain(repository.secret, body, now + seconds)).status_code == 403
    nothing_happened(origin, origin.pulled)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_clock_may_be_wrong_by_five_minutes(origin, repository, now, seconds):
    body = body_of()
    assert call(body, plain(repository.secret, body, now + seconds)).status_code == 200


def test_an_empty_secret_lets_nobody_in(origin, repository):
    Repository.objects.update(secret="")
    body = body_of()
    for sender in SENDERS:
        assert call(body, sender("", body)).status_code == 403
    nothing_happened(origin, origin.pulled)


@pytest.mark.parametrize("url", ["/git_hook/other/", "/git_hook/..%2F/", "/git_hook/scripts%00/"])
def test_an_unknown_repository_is_not_found(origin, repository, url):
    body = body_of()
    assert call(body, github(repository.secret, body), url).status_code == 404
    nothing_happened(origin, origin.pulled)


def test_one_that_the_settings_do_not_name_any_more_is_not_found(origin, repository, settings):
    settings.GIT_REPOS = {}
    body = body_of()
    assert call(body, github(repository.secret, body)).status_code == 404


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
def test_only_a_post_is_a_call(repository, method):
    answer = getattr(Client(), method)(URL)
    assert answer.status_code == 405
    assert not Job.objects.exists()


def test_the_address_works_without_its_last_slash(origin, repository):
    body = body_of()
    assert call(body, github(repository.secret, body), URL.rstrip("/")).status_code == 200


def test_a_call_of_which_nothing_came_pulls_when_it_is_delivered_again(origin, repository):
    before = origin.pulled
    pushed = origin.push("new.py", "x = 1\n")
    (origin.clone / "new.py").write_text("in the way\n")
    body = body_of()
    headers = github(repository.secret, body)
    assert call(body, headers).status_code == 200
    assert [job.state for job in work_off()] == ["failed"]
    assert origin.pulled == before
    (origin.clone / "new.py").unlink()
    assert call(body, headers).status_code == 200
    assert [job.state for job in work_off()] == ["done"]
    assert origin.pulled == pushed
    assert call(body, headers).status_code == 409


def test_a_test_of_the_connection_that_bitbucket_does_not_sign_is_told_that(origin, repository):
    answer = call(b'{"test": true}', {"X-Event-Key": "diagnostics:ping"})
    assert answer.status_code == 403
    assert "not signed" in answer.json()["errors"]["__all__"][0]
    assert call(body_of(), {"X-Event-Key": "repo:refs_changed"}).json() == {"ok": False}
    nothing_happened(origin, origin.pulled)


def test_a_branch_is_the_one_that_it_is_beside_a_tag_of_its_name(origin, repository, admin_client):
    git(origin.clone, "tag", "main")
    pushed = origin.push("new.py", "x = 1\n")
    body = body_of()
    assert call(body, github(repository.secret, body)).status_code == 200
    assert [job.error for job in work_off()] == [""]
    assert origin.pulled == pushed
    assert ">heads/main<" not in admin_client.get("/githooks/scripts/").content.decode()


def test_where_git_cannot_be_run_the_pull_fails_with_that_reason(
    origin, repository, admin_client, monkeypatch, tmp_path
):
    monkeypatch.setenv("PATH", str(tmp_path))
    body = body_of()
    assert call(body, github(repository.secret, body)).status_code == 200
    assert ["cannot be run" in job.error for job in work_off()] == [True]
    assert "cannot be run" in admin_client.get("/githooks/scripts/").content.decode()


def test_who_looks_at_the_address_reads_what_to_set_up(repository):
    answer = Client().get(URL)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert "Git hooks" in answer.json()["errors"]["__all__"][0]


def test_what_is_not_a_fast_forward_is_refused_and_the_folder_stays(origin, repository):
    (origin.clone / "mine").write_text("local\n")
    git(origin.clone, "add", "mine")
    git(origin.clone, "commit", "-m", "Mine")
    before = origin.pulled
    origin.push("new.py", "x = 1\n")
    body = body_of()
    assert call(body, github(repository.secret, body)).status_code == 200
    (job,) = work_off()
    assert job.state == "failed"
    assert origin.pulled == before
    assert Pull.objects.get().error


def test_another_branch_that_is_checked_out_is_left_alone(origin, repository):
    Repository.objects.update(branch="main")
    git(origin.clone, "checkout", "-b", "work")
    body = body_of()
    assert call(body, github(repository.secret, body)).status_code == 200
    (job,) = work_off()
    assert "“work” checked out" in job.error


def _given_away(folder: Path) -> None:
    os.chown(folder, 4242, 4242)
    os.chown(folder / ".git", 4242, 4242)


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (shutil.rmtree, "No such file or directory"),
        (lambda folder: shutil.rmtree(folder / ".git"), "not a git repository"),
        (lambda folder: (folder / ".git/HEAD").write_text(""), "not a git repository"),
        (lambda folder: git(folder, "checkout", "--detach"), "has “HEAD” checked out, not “a branch”"),
        pytest.param(
            _given_away,
            "dubious ownership",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a folder away"),
        ),
    ],
)
def test_a_folder_that_cannot_say_its_branch_fails_the_pull_with_the_reason(
    origin, repository, admin_client, break_it, reason
):
    break_it(origin.clone)
    body = body_of()
    assert call(body, github(repository.secret, body)).status_code == 200
    (job,) = work_off()
    assert job.state == "failed"
    assert reason in job.error
    assert Pull.objects.get().error == job.error
    assert reason in admin_client.get("/githooks/scripts/").content.decode()


def test_a_page_does_not_call_a_folder_that_git_refuses_one_without_a_branch(
    origin, repository, admin_client
):
    shutil.rmtree(origin.clone / ".git")
    page = admin_client.get("/githooks/scripts/").content.decode()
    assert "no branch is checked out" not in page
    assert "not a git repository" in page


def test_a_call_of_a_branch_that_was_not_followed_pulls_when_it_is_delivered_again(origin, repository):
    pushed = origin.push("new.py", "x = 1\n", "next")
    body = body_of("refs/heads/next")
    headers = github(repository.secret, body)
    assert call(body, headers).status_code == 202
    main = body_of()
    assert (
        call(main, github(repository.secret, main)).status_code == 200
    )  # a pull of something else, that succeeds
    assert [job.state for job in work_off()] == ["done"]
    git(origin.clone, "checkout", "-b", "next")
    assert call(body, headers).status_code == 200
    assert [job.state for job in work_off()] == ["done"]
    assert origin.pulled == pushed
    assert call(body, headers).status_code == 409


def test_a_call_whose_own_pull_failed_pulls_again_though_an_earlier_one_ended_since(origin, repository):
    body = body_of()
    headers = github(repository.secret, body)
    assert call(body, headers).status_code == 200
    Pull.objects.create(repository=repository, asked_by="an earlier call")  # it had been at work already
    (origin.clone / ".git/index.lock").touch()
    pushed = origin.push("new.py", "x = 1\n")
    assert [job.state for job in work_off()] == ["failed"]
    (origin.clone / ".git/index.lock").unlink()
    assert call(body, headers).status_code == 200
    assert [job.state for job in work_off()] == ["done"]
    assert origin.pulled == pushed


def test_hooks_of_the_repository_do_not_run(origin, repository, tmp_path):
    script = origin.clone / ".git/hooks/post-merge"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    script.chmod(0o755)
    origin.push("new.py", "x = 1\n")
    body = body_of()
    call(body, github(repository.secret, body))
    assert [job.state for job in work_off()] == ["done"]
    assert not (tmp_path / "ran").exists()


def test_a_pushed_script_appears_and_the_next_run_uses_it(origin, repository, settings):
    settings.FABRIC_FOLDER = str(origin.clone)
    assert "more.hello" not in catalogue().scripts
    origin.push("more.py", 'from fabric import task\n\n\n@task\ndef hello(c):\n    """One."""\n')
    body = body_of()
    call(body, gitea(repository.secret, body))
    work_off()
    assert catalogue().scripts["more.hello"].doc == "One."
    origin.push("more.py", 'from fabric import task\n\n\n@task\ndef hello(c):\n    """Two."""\n')
    body = body_of(after="second")
    call(body, gitea(repository.secret, body))
    work_off()
    assert catalogue().scripts["more.hello"].doc == "Two."


def test_a_folder_that_another_program_keeps_locked_is_told_and_not_waited_for_for_ever(tmp_path):
    with alone(tmp_path), pytest.raises(PullFailed, match="locked"), alone(tmp_path, 0.2):
        pass
    with alone(tmp_path, 0.2):
        pass


BESIDE = "\nPlease make sure you have the correct access rights\nand the repository exists.\n"
COULD_NOT = f"fatal: Could not read from remote repository.\n{BESIDE}"
FRAME = "remote: \nremote: " + "=" * 72 + "\nremote: \n"  # as GitLab says all of its reasons by SSH
SAML = (
    "ERROR: The organization has enforced SAML SSO. To access\nthis repository, visit\nhttps://h/ for more.\n"
)
IGNORED = 'This private key will be ignored.\nLoad key "/home/g/.ssh/key": bad permissions\n'
SAID = {
    f"fatal: '/x' is no repository\n{COULD_NOT}": "fatal: '/x' is no repository",
    f"git@h: Permission denied (publickey).\n{COULD_NOT}": "git@h: Permission denied (publickey).",
    f"{IGNORED}git@h: Permission denied (publickey).\n{COULD_NOT}": "git@h: Permission denied (publickey). "
    'Load key "/home/g/.ssh/key": bad permissions',
    f"{FRAME}remote: The project you were looking for could not be found.\n{FRAME}{COULD_NOT}": "remote: The "
    "project you were looking for could not be found.",
    f"{FRAME}remote: ERROR: You may not.\n\n{FRAME}{COULD_NOT}": "remote: ERROR: You may not.",
    f"{SAML}{COULD_NOT}": "ERROR: The organization has enforced SAML SSO. To access",
    f"ERROR: Repository not found.\n{COULD_NOT}": "ERROR: Repository not found.",
    f"Warning: Permanently added 'h'.\nHost key verification failed.\n{COULD_NOT}": "Host key verification failed.",
    "error: Your local changes to the following files would be overwritten by merge:\n\ta.py\n\tb.py\n"
    "Please commit your changes or stash them before you merge.\nAborting\n": "error: Your local changes to the "
    "following files would be overwritten by merge: a.py, b.py",
    "hint: Diverging branches\nhint:\nfatal: Not possible to fast-forward, aborting.\n": "fatal: Not possible to "
    "fast-forward, aborting.",
    "": "",
}


@pytest.mark.parametrize(("errors", "reason"), SAID.items())
def test_the_reason_is_shown_and_not_the_advice_behind_it(errors, reason):
    assert reason_in(errors.encode()) == reason


def test_changes_of_somebodys_own_that_are_in_the_way_are_named(origin, repository):
    origin.push("scripts.py", "x = 1\n")
    call(body_of(), github(repository.secret, body_of()))
    work_off()
    (origin.clone / "scripts.py").write_text("mine\n")
    origin.push("scripts.py", "x = 2\n")
    body = body_of(after="2")
    call(body, github(repository.secret, body))
    (job,) = work_off()
    assert "would be overwritten by merge: scripts.py" in job.error
