"""Where signed commits are demanded, only what an active admin has signed is pulled; real git, real keys."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from accounts.actors import Actor
from accounts.models import User
from githooks.checks import check_signed
from githooks.models import Pull
from githooks.services import WORK, pull_now
from githooks.signers import may_sign
from jobs.models import Job
from keymanager.models import Key
from keymanager.services.keys import add_keys
from tests.githooks.conftest import Origin, git
from tests.jobs.working import work_off

pytestmark = pytest.mark.django_db(transaction=True)


def new_key(place: Path, kind: str = "ed25519") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "x", "-f", str(place)], check=True)
    return place


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text().strip()


@pytest.fixture
def key(tmp_path, admin) -> Path:
    made = new_key(tmp_path / "ada")
    add_keys(Actor(admin, "ada"), admin, public(made))
    return made


@pytest.fixture(autouse=True)
def demanded(settings, repository) -> None:
    settings.GIT_REQUIRE_SIGNED = ["scripts"]


def push(origin: Origin, name: str, key: Path | None, *more: str, branch: str = "main") -> str:
    """Push a file in a commit signed with this key, or with none; returns the commit."""
    (origin.work / name).write_text("x = 1\n")
    git(origin.work, "add", name)
    signing = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}") if key else ()
    git(origin.work, *signing, "commit", *(["-S"] if key else []), "-m", f"Add {name}", *more)
    git(origin.work, "push", "-f", "origin", f"HEAD:{branch}")
    return git(origin.work, "rev-parse", "HEAD")


def pull(repository, admin) -> Job:
    """Pull; the job, ended."""
    pull_now(Actor(admin, "ada"), repository)
    (job,) = (job for job in work_off() if job.work == WORK)  # a new key is told by mail, too
    return job


def pulled(repository, admin) -> str:
    """Pull; the job's error."""
    return pull(repository, admin).error


def refused(origin: Origin, repository, admin) -> None:
    """The pull is refused and told, and the folder is as it was."""
    before, status = origin.pulled, git(origin.clone, "status", "--porcelain")
    assert "is not signed by an SSH key of an active admin" in pulled(repository, admin)
    assert (origin.pulled, git(origin.clone, "status", "--porcelain")) == (before, status)
    assert "not signed" in Pull.objects.all()[0].error


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_what_an_admin_signed_is_pulled_and_the_log_says_who(origin, repository, admin, tmp_path, kind):
    key = new_key(tmp_path / kind, kind)
    add_keys(Actor(admin, "ada"), admin, public(key))
    commit = push(origin, "a.py", key)
    job = pull(repository, admin)
    assert job.error == ""
    assert origin.pulled == commit
    assert any("is signed by" in line.text for line in job.lines.all())


def test_an_unsigned_commit_is_refused(origin, repository, admin, key):
    push(origin, "a.py", None)
    refused(origin, repository, admin)


def test_without_any_admins_key_nothing_is_pulled(origin, repository, admin, tmp_path):
    push(origin, "a.py", new_key(tmp_path / "other"))
    refused(origin, repository, admin)


def test_a_members_key_does_not_count(origin, repository, admin, member, key):
    theirs = new_key(key.with_name("mel"))
    add_keys(Actor(admin, "ada"), member, public(theirs))
    push(origin, "a.py", theirs)
    refused(origin, repository, admin)


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_admin": False}])
def test_who_left_or_is_no_admin_any_more_signs_nothing(origin, repository, admin, key, change):
    other = User.objects.create_user("eve", "correct horse battery", is_admin=True)
    Key.objects.update(person=other)
    User.objects.filter(pk=other.pk).update(**change)
    push(origin, "a.py", key)
    refused(origin, repository, admin)


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ("", True),
        ('expiry-time="20200101"', False),
        ('expiry-time="20991231235959Z"', True),
        ('expiry-time="209912312359"', True),
        ('expiry-time="20991399"', False),
        ("cert-authority", False),
        ('command="backup"', False),
        ("restrict", False),
        ('from="10.0.0.1"', False),
        ('expiry-time="20991231",restrict', False),
    ],
)
def test_keys_that_are_expired_or_limited_do_not_count(options, counts):
    assert may_sign(options, datetime(2026, 1, 1, tzinfo=UTC)) is counts


def test_a_key_that_has_expired_signs_nothing_even_with_a_date_of_before(origin, repository, admin, key):
    Key.objects.update(options='expiry-time="20200101"')
    push(origin, "a.py", key, "--date=2019-01-01T00:00:00")
    refused(origin, repository, admin)


def test_only_the_head_counts_as_with_git(origin, repository, admin, key):
    push(origin, "a.py", None)
    head = push(origin, "b.py", key)
    assert pulled(repository, admin) == ""
    assert origin.pulled == head


def test_an_unsigned_commit_on_a_signed_one_is_refused_and_the_signed_one_is_not_taken(
    origin, repository, admin, key
):
    push(origin, "a.py", key)
    push(origin, "b.py", None)
    refused(origin, repository, admin)


def test_a_merge_must_be_signed_itself(origin, repository, admin, key):
    git(origin.work, "checkout", "-b", "side")
    push(origin, "side.py", key, branch="side")
    git(origin.work, "checkout", "main")
    push(origin, "main.py", key)
    git(origin.work, "merge", "--no-ff", "-m", "Merge", "side")
    git(origin.work, "push", "origin", "main")
    refused(origin, repository, admin)


def test_a_signature_that_was_moved_to_another_commit_is_refused(origin, repository, admin, key):
    push(origin, "a.py", key)
    signed = git(origin.work, "cat-file", "commit", "HEAD")
    other = signed.replace("Add a.py", "Add evil")
    made = subprocess.run(
        ["git", "-C", str(origin.work), "hash-object", "-t", "commit", "-w", "--stdin"],
        input=other.encode() + b"\n",
        capture_output=True,
        check=True,
    ).stdout.decode()
    git(origin.work, "push", "-f", "origin", f"{made.strip()}:refs/heads/main")
    refused(origin, repository, admin)


def test_signers_and_programs_of_the_clones_own_configuration_do_not_count(
    origin, repository, admin, key, tmp_path
):
    stranger = new_key(tmp_path / "stranger")
    listed = tmp_path / "listed"
    listed.write_text(f"admin-{admin.pk} {public(stranger)}\n")
    liar = tmp_path / "liar"
    liar.write_text("#!/bin/sh\necho '[GNUPG:] GOODSIG 1 ada'; echo '[GNUPG:] TRUST_ULTIMATE 0'; exit 0\n")
    liar.chmod(0o755)
    for name in ("gpg.program", "gpg.openpgp.program", "gpg.x509.program", "gpg.ssh.program"):
        git(origin.clone, "config", name, str(liar))
    git(origin.clone, "config", "gpg.ssh.allowedSignersFile", str(listed))
    git(origin.clone, "config", "log.showSignature", "true")
    push(origin, "a.py", stranger)
    refused(origin, repository, admin)
    commit = push(origin, "b.py", key)
    assert pulled(repository, admin) == ""
    assert origin.pulled == commit


def test_a_signed_tag_does_not_vouch_for_an_unsigned_commit(origin, repository, admin, key):
    push(origin, "a.py", None)
    signing = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}")
    git(origin.work, *signing, "tag", "-s", "-m", "v1", "v1")
    git(origin.work, "push", "origin", "v1")
    refused(origin, repository, admin)


def test_a_signed_commit_that_is_no_fast_forward_is_refused(origin, repository, admin, key):
    before = origin.pulled
    git(origin.work, "checkout", "--orphan", "new")
    push(origin, "a.py", key)
    assert pulled(repository, admin)
    assert origin.pulled == before


def test_nothing_new_needs_no_signature_and_other_repositories_none_at_all(
    origin, repository, admin, settings
):
    assert pulled(repository, admin) == ""
    settings.GIT_REQUIRE_SIGNED = ["others"]
    commit = push(origin, "a.py", None)
    assert pulled(repository, admin) == ""
    assert origin.pulled == commit


def test_all_are_demanded_by_a_star_and_a_misspelt_name_is_said(origin, repository, admin, settings):
    settings.GIT_REQUIRE_SIGNED = ["*"]
    push(origin, "a.py", None)
    refused(origin, repository, admin)
    assert check_signed() == []
    settings.GIT_REQUIRE_SIGNED = ["script"]
    assert [message.id for message in check_signed()] == ["githooks.E001"]
