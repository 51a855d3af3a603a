"""keys.conf: what the panel writes, the hosts' own script reads, the same in every value."""

import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hosts.state import File
from keymanager.desired import CONF, SCRIPT, Fetch, files, install_text
from keymanager.fetching import _resolve
from servers.configs import NotWritable
from servers.models import Server
from servers.validators import validate_keymanager_name, validate_unix_name

FETCH = Fetch("https://gestion.example.org/", "web1.example.org", "tok_en-1", "gestion ssh-ed25519 AAAA", 7)
READ = """
quiet=0
read_conf || { printf '%s' "$problem"; exit 1; }
printf '%s\\n' "$url" "$name" "$token" "$plain_http" "$spread" "$resolve"
"""


def read_by_the_script(folder: Path, fetch: Fetch) -> list[str]:
    """What gestion-keys itself makes of the file."""
    made = {file.path: file.content.decode() for file in files(fetch)}
    (folder / "keys.conf").write_text(made[CONF])
    script = made[SCRIPT].replace(f"CONF={CONF}", f"CONF={folder}/keys.conf").replace('\nmain "$@"\n', READ)
    assert READ in script
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout.split("\n")[:-1]


typed = st.text(max_size=20) | st.text("az09AZ._-:/[]%~= \t\n\u2028\u0661", max_size=20)
urls = st.one_of(
    typed,
    st.builds("https://{}/".format, typed),
    st.builds("http://[{}]:8000/".format, st.ip_addresses(v=6)),
)
resolves = typed | st.builds("{}:443:{}".format, st.just("gestion.example.org"), st.ip_addresses())


fetches = st.one_of(
    st.builds(lambda url: replace(FETCH, url=url), urls),
    st.builds(lambda name, plain: replace(FETCH, name=name, plain_http=plain), typed, st.booleans()),
    st.builds(lambda token: replace(FETCH, token=token), typed),
    st.builds(lambda resolve: replace(FETCH, resolve=resolve), resolves),
)


@settings(max_examples=200, deadline=None)
@example(replace(FETCH, url="https://[2001:db8::1]:8443/"))
@example(replace(FETCH, url="https://bücher.example/"))
@example(replace(FETCH, token="a="))
@example(replace(FETCH, name="a..b", plain_http=True))
@given(fetches)
def test_the_script_reads_what_the_panel_wrote_or_nothing_is_written(tmp_path_factory, fetch):
    try:
        files(fetch)
    except NotWritable:
        return
    told = read_by_the_script(tmp_path_factory.mktemp("conf"), fetch)
    plain = "yes" if fetch.plain_http else "no"
    assert told == [fetch.url, fetch.name, fetch.token, plain, "20", fetch.resolve]


def test_the_paste_script_is_shell_and_holds_the_same_file(tmp_path):
    text = install_text(FETCH)
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    assert read_by_the_script(tmp_path, FETCH)[1] == FETCH.name


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "resolve"),
    [
        ("https://gestion.example.org/", "gestion.example.org:443:10.0.0.5"),
        ("https://[2001:db8::1]/", ""),
    ],
)
def test_a_guest_beside_the_panel_is_told_where_its_name_leads_and_an_address_is_none(settings, url, resolve):
    settings.GESTION_URL, settings.GESTION_IP, settings.GESTION_VM_NAME = url, "10.0.0.5", "pve1"
    pve1 = Server.objects.create(
        name="pve1", keymanager_name="pve1", is_proxmox=True, proxmox_node="pve1", external_interface="eth0"
    )
    guest = Server(name="web1", is_vm=True, vm_host=pve1)
    assert _resolve(guest) == resolve
    files(Fetch(url, "web1", "t", "", 1, resolve=_resolve(guest)))


def accepted(validate, texts: list[str]) -> list[str]:
    """Those that a field of the inventory takes."""
    found = []
    for text in texts:
        with suppress(ValidationError):
            validate(text)
            found.append(text)
    return found


@pytest.mark.parametrize(
    ("validate", "name"), [(validate_keymanager_name, "NAME"), (validate_unix_name, "USER")]
)
@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.text("abzAZ09._$-@,:\n ü\u2028", max_size=34), min_size=20, max_size=80))
def test_the_script_takes_each_name_that_the_inventory_takes(validate, name, texts):
    script = files(FETCH)[0].content.decode()
    (expression,) = (line for line in script.split("\n") if line.startswith(f"{name}="))
    each = f'printf "%s\\n" "$line" | grep -Eqx -- "${name}" || exit 1'
    check = f"{expression}\nwhile IFS= read -r line; do {each}; done"
    names = accepted(validate, texts)
    done = subprocess.run(
        ["sh", "-c", check], input="".join(f"{one}\n" for one in names).encode(), check=False
    )
    assert done.returncode == 0, names
    for one in names if name == "USER" else ():
        File("/x", b"", owner=one)
