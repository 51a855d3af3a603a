"""What programs send to forms: the rest stays as it is, and what cannot count is an error."""

import json
from typing import Any

import pytest
from django import forms
from django.http import HttpResponse
from django.test import RequestFactory

from accounts.actors import Actor
from accounts.models import User
from accounts.tokens import create_token
from pages.answers import form_data
from pages.buttons import SwitchForm
from pages.forms import CleanText
from pages.second_word import SecondWordMiddleware, SecondWordNeeded, ask
from pages.sent import initial_of
from servers.forms import WordsField
from servers.models import Server
from tests.gestion.url_arguments import make_world

JSON = {"Accept": "application/json"}


class NoteForm(CleanText, forms.Form):
    note = forms.CharField(required=False)
    loud = forms.BooleanField(required=False)
    days = forms.MultipleChoiceField(choices=[("mo", "mo"), ("tu", "tu")], required=False)
    many = forms.IntegerField(initial=3)
    fixed = forms.CharField(disabled=True, required=False, help_text="Others set it.")
    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    beside = {"preview"}


INITIAL = {"note": "kept", "loud": True, "days": ["mo", "tu"], "fixed": "as it is", "seen": "now"}


def form_of(body: dict[str, Any], address: str = "/", **kwargs: Any) -> NoteForm:
    request = RequestFactory().post(address, json.dumps(body), content_type="application/json")
    return NoteForm(form_data(request), initial=INITIAL, **kwargs)


@pytest.mark.parametrize(
    ("address", "lost"),
    [
        ("/?note=new", ["note"]),
        ("/?note=", ["note"]),
        ("/?loud=false&many=7&days=mo", ["days", "loud", "many"]),
        ("/?fixed=else", ["fixed"]),
        ("/?note=kept&loud=on&days=mo&days=tu&many=3", []),  # as the form was filled
        ("/?page=2&q=new", []),  # of a list that was looked at
    ],
)
def test_what_stands_in_the_address_alone_is_not_passed_over(address, lost):
    assert sorted(form_of({}, address).errors) == lost
    said = {"note": "new", "loud": False, "days": ["mo"], "many": 7, "fixed": "as it is"}
    assert form_of(said, address).is_valid()


@pytest.mark.parametrize(
    ("sent", "changed"),
    [
        ({}, {}),
        ({"note": "new"}, {"note": "new"}),
        ({"note": ""}, {"note": ""}),
        ({"note": None}, {"note": ""}),
        ({"loud": False}, {"loud": False}),
        ({"days": []}, {"days": []}),
        ({"days": ["tu"], "many": 7}, {"days": ["tu"], "many": 7}),
        ({"fixed": "as it is", "preview": 1, "confirm_lockout": True}, {}),
    ],
)
def test_what_is_not_named_stays_as_it_is(sent, changed):
    form = form_of(sent)
    assert form.is_valid(), form.errors
    # What is hidden says what the sender has seen, so nobody else says it.
    assert form.cleaned_data == {**INITIAL, "many": 3, "seen": "", **changed}


def test_the_same_holds_for_a_form_with_a_prefix():
    form = form_of({"a-note": "new", "note": "x"}, prefix="a")
    assert list(form.errors) == ["note"]
    assert form.cleaned_data["note"] == "new"
    assert form.cleaned_data["loud"]


@pytest.mark.parametrize("said", [None, [], 0, "no", "off", "", [None], [""]])
def test_a_box_is_not_unticked_by_what_says_nothing_of_it(said):
    assert form_of({"loud": said}).errors["loud"] == ["Say true or false."]


@pytest.mark.parametrize("name", ["nothing", "Note", "note ", "days[]", "fixed"])
def test_what_cannot_count_is_an_error_by_its_name(name):
    form = form_of({name: "x"})
    assert list(form.errors) == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loud", 0),
        ("loud", 1),
        ("loud", "no"),
        ("loud", "off"),
        ("loud", [True, False]),
        ("note", True),
        ("note", False),
        ("note", ["a", "b"]),
        ("note", [None]),
        ("note", [True]),
        ("many", [None]),
        ("days", ["mo", None]),
        ("many", True),
        ("many", [1, 2]),
        ("days", True),
        ("days", False),
        ("days", [True]),
        ("seen", ["a", "b"]),
    ],
)
def test_what_would_be_read_as_something_else_is_an_error_by_its_name(name, value):
    assert list(form_of({name: value}).errors) == [name]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"loud": "true"}, {"loud": True}),
        ({"loud": "False"}, {"loud": False}),
        ({"note": ["one"]}, {"note": "one"}),
        ({"days": "mo"}, {"days": ["mo"]}),
        ({"words": ["root", "deploy"]}, {"words": ["root", "deploy"]}),
        ({"words": ["root"]}, {"words": ["root"]}),
        ({"words": "root deploy"}, {"words": ["root", "deploy"]}),
        ({"words": []}, {"words": []}),
    ],
)
def test_what_can_only_mean_one_thing_is_taken(sent, read):
    class Form(NoteForm):
        words = WordsField(required=False)

    request = RequestFactory().post("/", json.dumps(sent), content_type="application/json")
    form = Form(form_data(request), initial=INITIAL)
    assert form.is_valid(), form.errors
    assert {name: form.cleaned_data[name] for name in read} == read


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ({"loud": False, "note": "new"}, ["note"]),
        ({"loud": False, "note": "new", "many": 4, "days": ["mo"]}, ["days", "many", "note"]),
        ({"loud": True, "note": "new", "many": 4}, []),
        ({"loud": False}, []),
        ({"loud": False, "note": "", "many": None, "days": []}, []),
        ({"loud": False, "note": "kept", "many": 3, "days": ["mo", "tu"]}, []),  # as the form shows it
        ({"loud": "no", "note": "new"}, ["loud"]),
        ({"loud": False, "many": "x"}, ["many"]),
    ],
)
def test_what_counts_beside_a_box_alone_is_not_said_where_that_is_off(sent, wrong):
    class Form(NoteForm):
        many = forms.IntegerField(initial=3, required=False)
        only_with = dict.fromkeys(("note", "many", "days"), "loud")

    request = RequestFactory().post("/", json.dumps(sent), content_type="application/json")
    assert sorted(Form(form_data(request), initial=INITIAL).errors) == wrong
    browsers = RequestFactory().post("/", {"note": "new", "days": "mo", "many": "4"})
    assert Form(form_data(browsers), initial=INITIAL).is_valid()


@pytest.mark.parametrize("said", [[None], ["root", None], [False, "root"]])
def test_nothing_in_a_list_is_no_word_of_it(said):
    class Form(NoteForm):
        words = WordsField(required=False)

    request = RequestFactory().post("/", json.dumps({"words": said}), content_type="application/json")
    assert list(Form(form_data(request), initial=INITIAL).errors) == ["words"]


@pytest.mark.parametrize(("said", "word"), [(True, True), ("on", True), ("true", True), (False, False), (None, False),
                                            ("false", False), ("no", False), (0, False), ("", False)])  # fmt: skip
def test_the_second_word_is_given_by_yes_alone(said, word):
    request = RequestFactory().post("/", json.dumps({"confirm_lockout": said}), "application/json")
    heard: list[bool] = []

    def view(_request: object) -> HttpResponse:
        try:
            ask(SecondWordNeeded(["All of it is lost."]))
        except SecondWordNeeded:
            heard.append(False)
        else:
            heard.append(True)
        return HttpResponse()

    SecondWordMiddleware(view)(request)
    assert heard == [word]


def test_a_file_is_sent_as_one_and_not_named():
    class Form(NoteForm):
        chain_file = forms.FileField(required=False)

    for said, wrong in (("/etc/a.pem", ["chain_file"]), (None, [])):
        request = RequestFactory().post("/", json.dumps({"chain_file": said}), "application/json")
        assert list(Form(form_data(request), initial=INITIAL).errors) == wrong


def test_it_says_which_fields_there_are():
    assert "note, loud, days" in form_of({"notes": "x"}).errors["notes"][0]


def test_a_switch_is_not_off_because_nothing_was_said():
    def switched(body: dict[str, Any]) -> SwitchForm:
        return SwitchForm(form_data(RequestFactory().post("/", json.dumps(body), "application/json")))

    assert "active" in switched({}).errors
    assert "active" in switched({"active": None}).errors
    assert switched({"active": False}).is_valid()
    assert SwitchForm({"active": ""}).is_valid()  # a page's button


def test_a_browsers_form_says_no_by_its_silence_and_may_send_more():
    form = NoteForm(
        form_data(RequestFactory().post("/", {"note": "x", "many": "1", "other": "y"})), initial=INITIAL
    )
    assert form.is_valid(), form.errors
    assert (form.cleaned_data["loud"], form.cleaned_data["days"]) == (False, [])


def test_a_program_is_shown_all_that_a_browser_shows_first_and_no_password():
    class Form(forms.Form):
        size = forms.IntegerField(initial=3)
        name = forms.CharField()
        secret = forms.CharField(widget=forms.PasswordInput)

    assert initial_of(Form(initial={"name": "x", "secret": "y"})) == {"size": 3, "name": "x"}


def test_of_a_list_a_program_gets_the_first_entry_where_a_browser_sends_that():
    class Form(CleanText, forms.Form):
        shell = forms.ChoiceField(choices=[("/bin/bash", "bash"), ("/bin/sh", "sh")])
        level = forms.ChoiceField(choices=[("low", "low"), ("high", "high")], initial="high")
        zone = forms.ChoiceField(choices=[("", "none"), ("a", "a")])
        later = forms.ChoiceField(choices=[("a", "a")], required=False)
        step = forms.ChoiceField(choices=[("use", "use")], widget=forms.HiddenInput)
        nothing = forms.ChoiceField(choices=[])

    assert initial_of(Form()) == {"shell": "/bin/bash", "level": "high"}
    request = RequestFactory().post("/", "{}", content_type="application/json")
    form = Form(form_data(request))
    assert sorted(form.errors) == ["nothing", "step", "zone"]
    assert (form.cleaned_data["shell"], form.cleaned_data["later"]) == ("/bin/bash", "")
    request = RequestFactory().post("/", {"level": "low"})
    assert "shell" in Form(form_data(request)).errors  # a browser says it


@pytest.mark.django_db
def test_a_program_that_names_no_shell_gets_the_one_that_the_page_shows(admin_client):
    server = Server.objects.create(name="a.example.org", keymanager_name="a.example.org")
    url = "/wizards/new/create_user/"
    assert admin_client.get(url, headers=JSON).json()["initial"]["shell"] == "/bin/bash"
    answer = admin_client.post(
        url, {"name": "ada", "server": server.pk}, "application/json", headers=JSON
    ).json()
    assert answer["ok"], answer


@pytest.mark.django_db
def test_a_person_made_by_a_program_is_active_as_one_made_on_the_page(admin_client):
    answer = admin_client.post("/users/new/", {"username": "eve"}, "application/json", headers=JSON)
    assert answer.json()["ok"], answer.content
    assert User.objects.get(username="eve").is_active


@pytest.mark.django_db
def test_null_is_said_also_where_a_row_has_a_value_that_its_model_would_keep(admin_client):
    proxmox = {"is_proxmox": True, "proxmox_node": "pve1", "external_interface": "vmbr0"}
    host = Server.objects.create(name="pve1", keymanager_name="pve1", internal_ip="10.0.0.1", **proxmox)
    url = f"/proxmox/hosts/{host.pk}/network/"
    for sent in (
        {"bridge": "vmbr5", "name_servers": ["10.0.0.9"], "reserved": "10.0.0.100-10.0.0.110"},
        {"bridge": None, "name_servers": None, "reserved": None},
    ):
        assert admin_client.post(url, sent, "application/json", headers=JSON).json()["ok"]
        shown = admin_client.get(url, headers=JSON).json()["initial"]
        assert admin_client.post(url, shown, "application/json", headers=JSON).json()[
            "ok"
        ]  # it may come back
        assert admin_client.get(url, headers=JSON).json()["initial"] == shown
    assert (shown["bridge"], shown["name_servers"], shown["reserved"]) == ("vmbr0", [], [])


@pytest.mark.django_db
def test_a_session_that_asks_for_json_is_a_programs_also_where_it_sends_a_form(admin_client):
    eve = User.objects.create(username="eve", full_name="Eve", is_admin=True)
    answer = admin_client.post(f"/users/{eve.pk}/edit/", {"full_name": "Eve Other"}, headers=JSON)
    assert answer.json()["ok"], answer.content
    eve.refresh_from_db()
    assert (eve.username, eve.full_name, eve.is_admin, eve.is_active) == ("eve", "Eve Other", True, True)
    answer = admin_client.post(f"/users/{eve.pk}/edit/", {"is_admn": "false"}, headers=JSON)
    assert list(answer.json()["errors"]) == ["is_admn"]


@pytest.mark.django_db
def test_a_token_changes_what_it_names_also_where_it_sends_a_form(client):
    world = make_world()
    actor = Actor(world.admin, "ada")
    text = create_token(actor, world.admin, name="cron", days=1, scopes=["servers"])[1]
    world.server.owners.set([world.owner])
    before = Server.objects.values().get(pk=world.server.pk)
    headers = {"Authorization": f"Bearer {text}"}
    answer = client.post(f"/servers/{world.server.pk}/edit/", {"notes": "x"}, headers=headers)
    assert answer.json()["ok"], answer.content
    after = Server.objects.values().get(pk=world.server.pk)
    assert after == {**before, "notes": "x", "version": before["version"] + 1}
    assert list(world.server.owners.all()) == [world.owner]
    answer = client.post(f"/servers/{world.server.pk}/edit/", {"note": "x"}, headers=headers)
    assert list(answer.json()["errors"]) == ["note"]
