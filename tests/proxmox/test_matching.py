"""Which guest is which server: pure rules, and the properties that no guess may break."""

from hypothesis import given
from hypothesis import strategies as st

from proxmox.matching import GuestFacts, Match, ServerNames, match
from proxmox.models import Matched

WEB = ServerNames(1, "web1.example.org", "10.0.0.5")
DB = ServerNames(2, "db1.example.org", None)


def outcome(guests: list[GuestFacts], *servers: ServerNames) -> dict[int, tuple[int | None, str]]:
    return {vmid: (found.server, found.how) for vmid, found in match(guests, servers).items()}


def test_the_internal_address_decides_before_the_name():
    guests = [GuestFacts(101, "db1", ("10.0.0.5",)), GuestFacts(102, "web1")]
    assert outcome(guests, WEB, DB) == {101: (1, Matched.ADDRESS), 102: (None, Matched.NOT)}


def test_the_name_decides_where_no_address_does_whole_or_its_first_part():
    guests = [GuestFacts(101, "DB1"), GuestFacts(102, "web1.example.org", ("10.0.0.77",))]
    assert outcome(guests, WEB, DB) == {101: (2, Matched.NAME), 102: (1, Matched.NAME)}


def test_a_name_with_underscores_is_that_of_a_guest_with_hyphens():
    old = ServerNames(3, "web_1.demo.example", None)
    assert outcome([GuestFacts(101, "web-1.demo.example")], old) == {101: (3, Matched.NAME)}
    assert outcome([GuestFacts(101, "web-1")], old) == {101: (3, Matched.NAME)}
    both = (old, ServerNames(4, "web-1.demo.example", None))
    assert outcome([GuestFacts(101, "web-1.demo.example")], *both)[101][1] == Matched.AMBIGUOUS


def test_the_word_of_an_admin_stays_whatever_address_and_name_say():
    guests = [GuestFacts(101, "web1", ("10.0.0.5",), by_hand=2), GuestFacts(102, "db1")]
    assert outcome(guests, WEB, DB) == {101: (2, Matched.HAND), 102: (None, Matched.NOT)}


def test_who_is_kept_apart_takes_no_server_and_leaves_it_to_another():
    guests = [GuestFacts(101, "web1", ("10.0.0.5",), apart=True), GuestFacts(102, "web1")]
    assert outcome(guests, WEB) == {101: (None, Matched.APART), 102: (1, Matched.NAME)}


def test_two_guests_with_one_address_are_told_and_not_guessed():
    guests = [GuestFacts(101, "web1", ("10.0.0.5",)), GuestFacts(102, "clone", ("10.0.0.5",))]
    found = match(guests, [WEB])
    assert set(found.values()) == {Match(None, Matched.AMBIGUOUS, (1,))}


def test_a_name_that_two_servers_have_is_told_and_not_guessed():
    servers = [ServerNames(1, "web1.example.org"), ServerNames(2, "web1.example.net")]
    assert match([GuestFacts(101, "web1")], servers) == {101: Match(None, Matched.AMBIGUOUS, (1, 2))}


def test_who_was_a_server_by_an_address_that_is_not_known_now_stays_it_unless_another_has_the_address():
    assert outcome([GuestFacts(101, "nextcloud", was=1)], WEB) == {101: (1, Matched.ADDRESS)}
    both = [GuestFacts(101, "nextcloud", was=1), GuestFacts(102, "web1", ("10.0.0.5",))]
    assert outcome(both, WEB) == {101: (None, Matched.NOT), 102: (1, Matched.ADDRESS)}
    assert outcome([GuestFacts(101, "nextcloud", was=2)], WEB, DB) == {101: (None, Matched.NOT)}
    assert outcome([GuestFacts(101, "nextcloud", was=9)], WEB) == {101: (None, Matched.NOT)}


def test_a_link_by_hand_to_a_server_that_is_not_on_the_host_any_more_does_not_count():
    assert outcome([GuestFacts(101, "web1", by_hand=99)], WEB) == {101: (1, Matched.NAME)}


WORDS = st.sampled_from(["a", "b", "c", "a.x", "b.x", ""])
ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"])
GUESTS = st.builds(
    GuestFacts,
    st.integers(100, 110),
    WORDS,
    st.lists(ADDRESSES, max_size=2).map(tuple),
    st.none() | st.integers(1, 4),
    st.booleans(),
    st.none() | st.integers(1, 4),
)
SERVERS = st.builds(ServerNames, st.integers(1, 4), WORDS.filter(bool), st.none() | ADDRESSES)


@given(
    st.lists(GUESTS, max_size=6, unique_by=lambda guest: guest.vmid),
    st.lists(SERVERS, max_size=4, unique_by=lambda server: server.pk),
)
def test_no_server_is_ever_given_to_two_guests(guests, servers):
    found = match(guests, servers)
    given_away = [one.server for one in found.values() if one.server is not None]
    assert len(given_away) == len(set(given_away))
    assert set(found) == {guest.vmid for guest in guests}
    assert set(given_away) <= {server.pk for server in servers}


@given(
    st.lists(GUESTS, max_size=6, unique_by=lambda guest: guest.vmid),
    st.lists(SERVERS, max_size=4, unique_by=lambda server: server.pk),
    st.randoms(),
)
def test_the_order_does_not_matter_where_nobody_said_anything_by_hand(guests, servers, random):
    plain = [GuestFacts(guest.vmid, guest.name, guest.addresses) for guest in guests]
    before = match(plain, servers)
    random.shuffle(plain)
    random.shuffle(servers)
    assert match(plain, servers) == before
