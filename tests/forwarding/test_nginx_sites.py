"""What an nginx server gets for hostnames: golden files, and no way for what people type to change their structure."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwarding.configs import FOLDER, configured, nginx_quote
from forwarding.nginx_sites import BALANCING, Certificate, Site, Upstream, confs, ngnix_conf, port_conf

GOLDEN = Path(__file__).parent.parent / "golden" / "nginx"
WEB, MAIL, SPARE = (
    Upstream("10.0.0.102"),
    Upstream("10.0.0.103", weight=3),
    Upstream("2001:db8::5", backup=True),
)
OWN = Certificate("/etc/ssl/shop.pem", "/etc/ssl/private/shop.key")
FLEETS = {
    "one": (Site(1, "www.example.org", (WEB,)),),
    "several": (
        Site(2, "*.example.org", (WEB, MAIL, SPARE), balancing="least_conn", max_fails=3, fail_timeout=30),
        Site(
            3, "app.example.org", (WEB, MAIL), balancing="ip_hash", websockets=False, body_size=0, port=8080
        ),
        Site(14, "db.example.org", (Upstream("db1.example.net"),), destination_port=8443),
    ),
    "tls": (
        Site(5, "shop.example.org", (WEB,), certificate=OWN, force_https=True, is_default=True),
        Site(6, "xn--bcher-kva.example", (WEB,), certificate=OWN, force_https=True, https_port=8443),
        Site(7, "later.example.org", (WEB,), force_https=True),
    ),
}


def files(sites: tuple[Site, ...]) -> dict[str, str]:
    return {"ngnix.conf": ngnix_conf(), **{f"{name}.conf": text for name, text in confs(sites)}}


@pytest.mark.parametrize("name", FLEETS)
def test_the_files_are_what_the_golden_ones_say(name):
    golden = {path.name: path.read_text() for path in (GOLDEN / name).iterdir()}
    assert files(FLEETS[name]) == golden


def words(text: str) -> list[str]:
    """The text's words and marks as nginx reads them; the words of comments are none."""
    found = []
    for line in re.finditer(
        r'"((?:[^"\\]|\\.)*)"|#[^\n]*|([{};])|((?:[^\s{};"#\\])(?:[^\s;{]|\{(?=[0-9]))*)', text
    ):
        quoted, mark, bare = line.groups()
        if quoted is not None:
            found.append("q" + re.sub(r"\\(.)", r"\1", quoted))
        elif mark or bare:
            found.append(mark or bare)
    return found


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
domains = st.lists(labels, min_size=1, max_size=4).map(".".join)
addresses = st.one_of(st.ip_addresses().map(str), domains)
upstreams = st.builds(Upstream, addresses, st.integers(1, 100))
ports = st.integers(1, 65535)
paths = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="$"), min_size=1, max_size=30
)
sites = st.builds(
    Site,
    st.integers(1, 10**9),
    st.one_of(domains, domains.map("*.{}".format)),
    st.lists(upstreams, min_size=1, max_size=4).map(tuple),
    port=st.integers(1, 30000),
    https_port=st.integers(30001, 65535),
    destination_port=ports,
    balancing=st.sampled_from(BALANCING),
    max_fails=st.integers(0, 100),
    fail_timeout=st.integers(1, 3600),
    websockets=st.booleans(),
    body_size=st.integers(0, 10**6),
    force_https=st.booleans(),
    certificate=st.one_of(st.none(), st.builds(Certificate, paths, paths)),
)


@given(sites)
def test_whatever_is_allowed_stands_where_it_should_and_nowhere_else(site):
    text = dict(confs([site]))[f"{site.pk}"]
    found = words(text)
    assert found.count("{") == found.count("}")
    servers = 2 if site.certificate else 1
    assert found.count("server_name") == servers
    assert [found[at + 1] for at, word in enumerate(found) if word == "server_name"] == [
        f"q{site.domain}"
    ] * servers
    if site.certificate:
        assert found[found.index("ssl_certificate") + 1] == f"q{site.certificate.chain_path}"
        assert found[found.index("ssl_certificate_key") + 1] == f"q{site.certificate.key_path}"
        assert found[found.index("ssl_certificate_key") + 2] == ";"
    begin = found.index("{")
    block = found[begin + 1 : found.index("}")]
    assert block.count("server") == len(site.upstreams)


hostile = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["a;b", "a}b", "a b", "a\nb", "a\0b", 'a"b', "~.*", "$host", "a{b", "#", "", "*", "*.", "a/b", "\\"]
    ),
)


@given(hostile.filter(lambda text: not re.fullmatch(r"(\*\.)?[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?", text)))
def test_what_is_no_domain_is_never_written(name):
    with pytest.raises(ValueError, match=r"domain name|one machine"):
        Site(1, name, (Upstream(name),))


@given(st.text(max_size=30))
def test_a_quoted_word_is_read_as_it_was_or_refused(text):
    try:
        quoted = nginx_quote(text)
    except ValueError:
        assert not text or re.search(r"[\x00-\x1f\x7f$]", text)
    else:
        assert words(f"a {quoted};") == ["a", f"q{text}", ";"]


@pytest.mark.parametrize(
    "fields",
    [
        {"balancing": "round_robin; deny all"},
        {"port": 0},
        {"https_port": 65536},
        {"upstreams": ()},
        {"upstreams": (Upstream("10.0.0.1", backup=True),)},
        {"upstreams": (Upstream("10.0.0.1"), Upstream("10.0.0.2", backup=True)), "balancing": "ip_hash"},
        {"certificate": OWN, "port": 443},
        {"fail_timeout": 0},
    ],
)
def test_a_site_that_nginx_would_refuse_is_none(fields):
    with pytest.raises(ValueError, match=r"\w"):
        Site(**{"pk": 1, "domain": "example.org", "upstreams": (WEB,), **fields})


def test_a_wildcard_is_no_default_redirect():
    with pytest.raises(ValueError, match="one name"):
        port_conf(80, tls=False, default=Site(1, "*.example.org", (WEB,), is_default=True))


@pytest.mark.parametrize("text", [configured("gestion-nginx.j2"), (FOLDER / "nginx-away.sh").read_text()])
def test_what_runs_on_the_host_is_a_posix_shell_script(text):
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    assert not {"[[", "local", "function", "source", "<<<"} & set(shlex.split(text, comments=True))
