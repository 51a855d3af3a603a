"""The first page of a new panel."""

from io import StringIO

import pytest
from django.core.management import call_command

from accounts import services
from accounts.actors import Actor
from accounts.models import AuditEntry, User
from accounts.setup_code import is_setup_code, setup_code

GOOD = {
    "username": "ada",
    "full_name": "Ada Lindqvist",
    "email": "ada@example.org",
    "password": "correct horse battery",
    "password_again": "correct horse battery",
}


def post(client, **changes):
    return client.post("/setup/", {**GOOD, "code": setup_code(), **changes})


@pytest.mark.django_db
def test_without_an_account_every_page_leads_to_the_set_up(client):
    answer = client.get("/", follow=True)
    assert answer.redirect_chain[-1][0] == "/setup/"
    assert "manage.py setup_code" in answer.content.decode()
    assert setup_code() not in answer.content.decode()


@pytest.mark.django_db
def test_the_code_makes_the_admin_and_signs_in(client):
    answer = post(client)
    assert answer.headers["Location"] == "/"
    user = User.objects.get()
    assert user.is_admin
    assert user.check_password(GOOD["password"])
    assert "First steps" in client.get("/").content.decode()
    assert list(AuditEntry.objects.values_list("verb", flat=True)) == [
        "session.begin",
        "panel_identity.create",
        "panel.set_up",
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("code", ["", "AAAA-AAAA-AAAA-AAAA", "0", "Ä"])
def test_a_wrong_code_makes_nothing(client, code):
    assert post(client, code=code).status_code == 422
    assert not User.objects.exists()


@pytest.mark.parametrize("typed", [str.lower, lambda code: code.replace("-", " "), lambda code: f" {code}\n"])
def test_case_and_spaces_of_the_code_do_not_matter(typed):
    assert is_setup_code(typed(setup_code()))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"password": "short", "password_again": "short"}, "password"),
        ({"password": "ada-lindqvist", "password_again": "ada-lindqvist"}, "password"),
        ({"password_again": "something else"}, "password_again"),
        ({"username": "a b"}, "username"),
        ({"username": ""}, "username"),
        ({"email": "nonsense"}, "email"),
    ],
)
def test_what_is_wrong_is_said_by_the_field(client, changes, field):
    answer = post(client, **changes)
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert not User.objects.exists()


def test_once_there_is_an_account_the_page_is_gone(client, member):
    assert client.get("/setup/").headers["Location"] == "/sign-in/"
    assert post(client).headers["Location"] == "/sign-in/"
    assert User.objects.get() == member
    with pytest.raises(services.NotAllowed):
        services.set_up_panel(Actor.system("test"), username="eve", password="correct horse battery")


@pytest.mark.django_db
def test_the_command_prints_the_code_until_the_panel_is_set_up(settings):
    def said(**options):
        out = StringIO()
        call_command("setup_code", stdout=out, **options)
        return out.getvalue().strip()

    assert setup_code() in said()
    assert f"{settings.GESTION_URL}setup/" in said()
    assert said(plain=True) == setup_code()
    User.objects.create_user("ada")
    assert "already" in said()
    assert said(plain=True) == ""


def test_another_panel_has_another_code(settings):
    ours = setup_code()
    settings.SECRET_KEY = "another panel's key, which is long enough"
    assert setup_code() != ours


@pytest.mark.django_db
def test_the_page_names_the_command_of_each_kind_of_installation(client, settings):
    settings.EMBEDDED = True
    assert ".venv/bin/python manage.py setup_code" in client.get("/setup/").content.decode()
    settings.EMBEDDED = (
        False  # there, that one would ask another panel: one without settings, made on the spot
    )
    text = client.get("/setup/").content.decode()
    assert "gestion setup_code" in text
    assert "docker-compose exec web1 python3 manage.py setup_code" in text
    assert ".venv" not in text
    assert "prints it when it starts" not in text
