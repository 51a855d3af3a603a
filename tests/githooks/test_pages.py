"""The page has what a git host needs; its secret is the admins'."""

import base64

import pytest

from githooks.models import Pull, Repository
from tests.jobs.working import work_off

pytestmark = pytest.mark.django_db(transaction=True)
JSON = {"Accept": "application/json"}


def test_without_repositories_the_page_says_how_to_name_one(admin_client, settings):
    settings.GIT_REPOS = {}
    assert b"GIT_REPOS" in admin_client.get("/githooks/").content


def test_a_repository_has_no_secret_until_an_admin_sets_it_up(admin_client, settings):
    settings.GIT_REPOS = {"fresh": "/nowhere"}
    assert b"Set it up" in admin_client.get("/githooks/").content
    assert not Repository.objects.exists()
    assert admin_client.post("/githooks/other/set-up/").status_code == 404
    assert admin_client.post("/githooks/fresh/set-up/").status_code == 302
    assert len(Repository.objects.get().secret) >= 43


def test_a_program_that_sets_one_up_is_told_its_secret_this_once(admin_client, settings):
    settings.GIT_REPOS = {"fresh": "/nowhere"}
    made = admin_client.post("/githooks/fresh/set-up/", headers=JSON).json()
    row = Repository.objects.get()
    assert made["secret"] == row.secret
    assert made["hook_url"] == "http://127.0.0.1:8000/git_hook/fresh/"
    assert base64.b64decode(made["signing_token"].removeprefix("whsec_")) == base64.urlsafe_b64decode(
        f"{row.secret}="
    )
    again = admin_client.post("/githooks/fresh/set-up/", headers=JSON)
    assert again.status_code == 409
    assert "set up already" in again.json()["errors"]["__all__"][0]
    assert row.secret not in again.content.decode()
    assert row.secret not in admin_client.get("/githooks/fresh/", headers=JSON).content.decode()
    renewed = admin_client.post("/githooks/fresh/secret/", headers=JSON).json()["secret"]
    assert renewed == Repository.objects.get().secret != row.secret


def test_the_page_has_url_and_secret_to_paste(admin_client, repository):
    page = admin_client.get("/githooks/scripts/").content.decode()
    assert "http://127.0.0.1:8000/git_hook/scripts/" in page
    assert repository.secret in page
    assert admin_client.get("/githooks/other/").status_code == 404
    assert "secret" not in admin_client.get("/githooks/scripts/", headers=JSON).json()


def test_try_pulls(admin_client, origin, repository):
    pushed = origin.push("x", "1\n")
    assert admin_client.post("/githooks/scripts/pull/").status_code == 302
    work_off()
    assert origin.pulled == pushed
    assert Pull.objects.get().asked_by == "ada"


def test_a_folder_that_is_not_there_is_said(admin_client, repository, settings, tmp_path):
    settings.GIT_REPOS = {"scripts": str(tmp_path / "nowhere")}
    admin_client.post("/githooks/scripts/pull/")
    (job,) = work_off()
    assert job.state == "failed"
    assert "nowhere" in job.error


def test_a_new_secret_replaces_the_old_one(admin_client, repository):
    admin_client.post("/githooks/scripts/secret/")
    assert Repository.objects.get().secret != repository.secret


@pytest.mark.parametrize("name", ["-x", "a b", "a..b", "x;y", "$(id)", "a\nb", "@{u}", "x.lock", "/x", "x/"])
def test_what_is_no_branch_is_refused(admin_client, repository, name):
    answer = admin_client.post("/githooks/scripts/branch/", {"branch": name}, headers=JSON)
    assert answer.status_code == 422, name
    assert Repository.objects.get().branch == ""


def test_a_branch_is_chosen(admin_client, repository):
    admin_client.post("/githooks/scripts/branch/", {"branch": "refs/heads/release/1.0"})
    assert Repository.objects.get().branch == "release/1.0"
