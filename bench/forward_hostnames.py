"""Hostnames, click to live; part of `bench.forward`, on its lab and its panel.

A click is the call of the service that the form calls; live is the first page from the right container, asked for every
5 ms from this machine through the host's port 80 and its nginx server.
"""

import http.client
import statistics
import time
from typing import TYPE_CHECKING, Any

from bench.forward import MANY, enlist, rule, settled, until

if TYPE_CHECKING:
    from lab import Fleet

WANTED = {
    "seconds_click_to_live_1_hostname": 2.0,
    "seconds_click_to_live_500_hostnames": 2.0,
    "seconds_click_to_gone_hostname": 2.0,
    "seconds_hostname_20_hosts": 20.0,
}


def served_by(address: str, domain: str) -> str:
    """The name of the lab host whose page comes for this domain; empty if none."""
    connection = http.client.HTTPConnection(address, 80, timeout=2)
    try:
        connection.request("GET", "/", headers={"Host": domain})
        page = connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
    return page.partition("<title>")[2].partition("<")[0]


def add(host: Any, guest: Any, domain: str) -> Any:
    """Click: a hostname of this host that leads to the guest's nginx."""
    from accounts.actors import Actor
    from forwarding.models import HostnameDestination, HostnameForward
    from forwarding.services.hostnames import create_hostname

    row = HostnameForward(host=host, domain=domain)
    return create_hostname(Actor.system("bench"), row, [HostnameDestination(server=guest)], confirmed=True)


def click_to_live(host: Any, guest: Any, domains: list[str]) -> tuple[list[float], list[float]]:
    """Add and delete each domain, one after the other: seconds until it is served, and no more."""
    from accounts.actors import Actor
    from forwarding.services.hostnames import delete_hostname

    live, gone = [], []
    for domain in domains:
        begin = time.perf_counter()
        made = add(host, guest, domain)
        until(lambda d=domain: served_by(host.external_ip, d) == guest.name, 60, domain, 0.005)  # type: ignore[misc]
        live.append(time.perf_counter() - begin)
        settled()
        begin = time.perf_counter()
        delete_hostname(Actor.system("bench"), made, confirmed=True)
        until(lambda d=domain: served_by(host.external_ip, d) != guest.name, 60, domain, 0.005)  # type: ignore[misc]
        gone.append(time.perf_counter() - begin)
        settled()
    return live, gone


def fill(host: Any, guest: Any, count: int) -> float:
    """Give the host so many hostnames in one go; seconds until the last one is served."""
    from django.db import transaction

    begin = time.perf_counter()
    with transaction.atomic():
        for number in range(count):
            add(host, guest, f"h{number}.example.org")
    last = f"h{count - 1}.example.org"
    until(lambda: served_by(host.external_ip, last) == guest.name, 120, "many hostnames", 0.005)
    taken = time.perf_counter() - begin
    settled()
    return taken


def many_hosts(fleet: "Fleet", count: int) -> float:
    """A hostname on each of so many nginx servers, in one go: seconds until all have it and the panel says so."""
    from django.db import transaction
    from django.utils import timezone

    from lab import HostSpec
    from servers.models import HostKey, Server

    pairs = []
    made = fleet.add_hosts([HostSpec(f"nginx{number:02}", "nginx") for number in range(count)])
    for number, host in enumerate(made):
        # Only their nginx servers are asked for anything, so only these are real.
        fields: dict[str, Any] = {"is_proxmox": True, "proxmox_node": "n", "external_interface": "vmbr0"}
        pve = Server.objects.create(name=f"for-{host.name}", keymanager_name="pve", **fields)
        fields = {"is_vm": True, "vm_host": pve, "ssh_connection": host.connection, "internal_ip": "10.0.0.5"}
        nginx = Server.objects.create(name=host.name, keymanager_name=host.name, **fields)
        pin = {"key": host.host_key, "fingerprint": f"{host.name}-{number}", "pinned_at": timezone.now()}
        HostKey.objects.create(server=nginx, **pin)
        guest = Server.objects.create(
            name=f"web-{host.name}", keymanager_name="web", is_vm=True, vm_host=pve, internal_ip="10.0.0.9"
        )
        Server.objects.filter(pk=pve.pk).update(nginx_server=nginx)
        pairs.append((Server.objects.get(pk=pve.pk), guest))
    begin = time.perf_counter()
    with transaction.atomic():
        for pve, guest in pairs:
            add(pve, guest, "www.example.org")
    settled()
    return time.perf_counter() - begin


def measure(fleet: "Fleet", host: Any, guest: Any, *, quick: bool) -> dict[str, float]:
    """All figures of hostnames; `host` gets the lab's proxy for its nginx server."""
    from accounts.actors import Actor
    from forwarding.services.ports import create_port_forward

    host.nginx_server = enlist(fleet["proxy"])
    host.save()
    create_port_forward(Actor.system("bench"), rule(host, host.nginx_server, 80), confirmed=True)
    settled()
    tries = 3 if quick else 10
    figures: dict[str, float] = {}
    click_to_live(host, guest, ["first.example.org"])
    live, gone = click_to_live(host, guest, [f"new{number}.example.org" for number in range(tries)])
    figures["seconds_click_to_live_1_hostname"] = statistics.median(live)
    figures["seconds_click_to_live_1_hostname_worst"] = max(live)
    figures["seconds_click_to_gone_hostname"] = statistics.median(gone)
    figures["seconds_500_hostnames_at_once"] = fill(host, guest, MANY - 1)
    live, _gone = click_to_live(host, guest, [f"new{number}.example.org" for number in range(tries)])
    figures["seconds_click_to_live_500_hostnames"] = statistics.median(live)
    figures["seconds_click_to_live_500_hostnames_worst"] = max(live)
    count = 5 if quick else 20
    figures[f"seconds_hostname_{count}_hosts"] = many_hosts(fleet, count)
    return figures
