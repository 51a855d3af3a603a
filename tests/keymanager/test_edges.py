"""Where small rules of keys begin and end."""

import pytest

from accounts.models import AuditEntry
from keymanager.bad_key import BadKey
from keymanager.key_options import canonical_options, options_end
from keymanager.lockout import MOST_NAMED, _listed
from keymanager.openssh import parse_keys
from keymanager.paths import why
from keymanager.protocol import content_of
from keymanager.tokens import give_token, replace_token, take_token
from tests.keymanager.fetchers import ACTOR, let_in
from tests.keymanager.fleets import ed25519_blob, make_server


def test_a_network_may_be_left_out_of_those_that_a_key_comes_from():
    options = 'from="!10.0.0.0/24,10.0.0.0/8"'
    assert canonical_options(options) == options
    with pytest.raises(BadKey):
        canonical_options('from="!10.0.0.1/24"')


def test_options_end_at_the_first_blank_outside_quotes():
    options = r'command="say \"a b\" c",no-pty'
    assert options_end(f"{options} ssh-ed25519 AAAA") == len(options)


def test_a_key_with_a_sign_that_is_none_of_base64_is_refused():
    blob = ed25519_blob(b"x")
    with pytest.raises(BadKey):
        parse_keys(f"ssh-ed25519 {blob[:20]}!{blob[20:]}")


def test_an_etag_is_forty_digits():
    assert len(content_of({"root": (b"x\n",)}).etag.strip('"')) == 40


def test_many_names_are_told_by_the_first_and_the_number_of_the_others():
    names = [f"web{number}" for number in range(MOST_NAMED + 3)]
    assert _listed(names[:MOST_NAMED]) == ", ".join(names[:MOST_NAMED])
    assert _listed(names).endswith("and 3 more")


@pytest.mark.django_db
def test_a_path_names_its_server_and_says_whether_one_key_alone_is_meant():
    server = make_server("web1", "root", "deploy")
    person = let_in(server, "ada")
    server.owners.add(person)
    paths = why(server)
    assert {path.as_json()["server"] for path in paths} == {"web1"}
    assert {path.single for path in paths} == {False}
    assert None in {path.group for path in paths}


@pytest.mark.django_db
def test_the_trail_says_of_which_server_a_token_was_replaced_and_taken():
    server = make_server("web1", "root")
    give_token(ACTOR, server)
    replace_token(ACTOR, server, at_once=True)
    take_token(ACTOR, server)
    replaced = AuditEntry.objects.get(verb="fetch_token.replace")
    taken = AuditEntry.objects.get(verb="fetch_token.delete")
    assert replaced.after == {"at_once": True}
    assert (replaced.object_name, taken.object_name) == ("web1", "web1")
