"""Root passwords: deterministic, as documented, and of no use to anybody without the secret."""

import base64
import hashlib
import hmac
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from proxmox.models import Creation
from proxmox.passwords import NoPasswordSecret, secret_mark, vm_password
from servers.models import Server

DOCS = Path(__file__).parent.parent.parent / "docs/proxmox.md"
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{2,6}){0,2}", fullmatch=True)


def test_the_documented_example_holds(settings):
    settings.VM_PASS_SECRET = "example-secret-of-the-documentation-0123456789"
    assert vm_password("pve1.example.org", "web1.example.org") in DOCS.read_text()


def test_the_documented_script_computes_the_same(settings):
    settings.VM_PASS_SECRET = "example-secret-of-the-documentation-0123456789"
    script = re.search(r"```python\n(import base64.*?)```", DOCS.read_text(), re.DOTALL)
    assert script
    done = subprocess.run(
        [sys.executable, "-c", script[1], "pve1.example.org", "web1.example.org"],
        env={"VM_PASS_SECRET": settings.VM_PASS_SECRET},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == vm_password("pve1.example.org", "web1.example.org")


@given(host=names, server=names)
def test_it_is_the_hmac_of_both_names(host, server):
    from django.conf import settings

    message = f"gestion-vm-password-1\n{host}\n{server}".encode()
    digest = hmac.new(settings.VM_PASS_SECRET.encode(), message, hashlib.sha256).digest()
    password = vm_password(host, server)
    assert password == base64.b32encode(digest).decode()[:32]
    assert re.fullmatch(r"[A-Z2-7]{32}", password)


@given(st.tuples(names, names), st.tuples(names, names))
def test_other_names_have_another_password(one, other):
    assert (vm_password(*one) == vm_password(*other)) == (one == other)


def test_a_name_cannot_pretend_to_be_two():
    with pytest.raises(ValueError):
        vm_password("pve1", "a\nb")


def test_another_secret_gives_another_password(settings):
    before, mark = vm_password("pve1", "web1"), secret_mark()
    settings.VM_PASS_SECRET = "another-" * 6
    assert vm_password("pve1", "web1") != before
    assert secret_mark() != mark


def test_without_the_secret_there_is_no_password(settings):
    settings.VM_PASS_SECRET = ""
    with pytest.raises(NoPasswordSecret, match="VM_PASS_SECRET"):
        vm_password("pve1", "web1")


@pytest.fixture
def created(db):
    proxmox = {"is_proxmox": True, "proxmox_node": "pve1", "external_interface": "vmbr0"}
    host = Server.objects.create(name="pve1", keymanager_name="pve1", **proxmox)
    server = Server.objects.create(name="web1", keymanager_name="web1", is_vm=True, vm_host=host)
    return Creation.objects.create(
        host=host, server=server, hostname="web1", template="local:vztmpl/a", storage="local", disk=8,
        memory=512, swap=0, cores=1, address="10.0.0.9", prefix_length=24, bridge="vmbr0", asked_by="ada",
        state="done", vmid=105, password_host="pve1", password_server="web1", password_mark=secret_mark(),
    )  # fmt: skip


def said(*argv: str) -> str:
    out = StringIO()
    call_command("vm_password", *argv, stdout=out)
    return out.getvalue().strip()


def test_the_command_prints_it_also_after_both_were_renamed(created):
    Server.objects.filter(name="web1").update(name="www")
    Server.objects.filter(name="pve1").update(name="node1")
    assert said("www") == said("web1") == vm_password("pve1", "web1")


def test_the_command_knows_what_it_did_not_create_only_by_host(created):
    with pytest.raises(CommandError, match="no container"):
        said("db1")
    assert said("db1", "--host", "pve1") == vm_password("pve1", "db1")


def test_the_command_says_when_the_secret_is_another_one_by_now(created, settings):
    settings.VM_PASS_SECRET = "another-" * 6
    with pytest.raises(CommandError, match="another VM_PASS_SECRET"):
        said("web1")
