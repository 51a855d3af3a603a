"""Where small rules of hostnames begin and end."""

from forwarding.hostname_dangers import Served
from forwarding.models import HostnameForward
from forwarding.validators import normal_domain


def test_a_domain_with_a_star_is_written_as_every_other():
    assert normal_domain(" *.Example.ORG. ") == "*.example.org"
    assert normal_domain("*.Bücher.example") == "*.xn--bcher-kva.example"


def test_what_a_host_left_out_is_no_change_of_what_is_served():
    one, other = HostnameForward(), HostnameForward(left_out="something")
    assert Served.of(one, []) == Served.of(other, [])
