"""The shipped composition as a newcomer brings it up: docker-compose up, then all the rest in the browser."""

import json
import secrets
from collections.abc import Iterator
from functools import partial

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.enlisted import contact, send
from tests.containers.composition import NAME, Composition, composition
from tests.containers.engine import require
from tests.containers.test_programs import programs
from tests.containers.tunnel import tunnel_to
from tests.waiting import PATIENCE_SECONDS, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.timeout(600)]
URL = f"https://{NAME}"
PASSWORD = "a long enough password"
OURS = ("web1", "web2", "worker", "worker-backups", "scheduler", "proxy", "postgres", "redis")
ONCE = ("secrets", "migrate")


@pytest.fixture(scope="module")
def panel() -> Iterator[Composition]:
    """The panel, up on an engine of its own."""
    require()
    with composition() as panel:
        yield panel


@pytest.fixture
def page(browser: Browser, panel: Composition) -> Iterator[Page]:
    """A tab that finds gestion.test, and takes the certificate of the proxy's own authority."""
    with tunnel_to(panel.engine.address) as proxy:
        context = browser.new_context(
            viewport={"width": 1280, "height": 900}, proxy={"server": proxy}, ignore_https_errors=True
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        yield page
        context.close()


def test_all_of_it_gets_well(panel: Composition) -> None:
    for name in OURS:
        wait_for(partial(is_healthy, panel, name), 120, name=f"the health of {name}")
    assert [panel.inspect(name)["State"]["ExitCode"] for name in ONCE] == [0, 0]
    status, _headers, body = panel.ask("/health/")
    assert (status, json.loads(body)) == (200, {"ok": True})
    panel.manage("check", "--deploy", "--fail-level", "WARNING")


def test_the_panel_backs_itself_up_with_what_its_image_holds(panel: Composition) -> None:
    for program in sorted(programs()):
        panel.inside("web1", "sh", "-c", 'command -v "$0"', program)
    panel.manage("check", "--database", "default", "--fail-level", "WARNING")
    said = panel.manage("backup_panel", "/tmp/panel.tar")
    assert "verified" in said
    assert "database.pgdump" in panel.inside("web1", "tar", "tf", "/tmp/panel.tar")
    panel.inside("web1", "rm", "/tmp/panel.tar")


def test_a_newcomer_sets_it_up_adds_a_server_and_sees_jobs_run(page: Page, panel: Composition) -> None:
    sign_in(page, panel)
    name = f"server-{secrets.token_hex(3)}"  # another one at another try
    add_a_server(page, panel, name)
    accept_its_host_key(page)
    watch_a_job(page, panel)
    page.goto(f"{URL}/audit/")
    # The browser's own address, all the way through Docker and Caddy.
    expect(page.locator("main")).to_contain_text(panel.engine.near)

    # Be it the one that served this browser or the other: they go and come in turn.
    for web in ("web1", "web2"):
        panel.engine.docker("kill", panel.container(web))
        page.goto(f"{URL}/servers/")
        expect(page.locator("main")).to_contain_text(name)
        panel.compose("up", "-d", "--no-deps", web)
        wait_for(partial(is_healthy, panel, web), 90, name=web)


def is_healthy(panel: Composition, name: str) -> bool:
    """Whether Docker calls this service's first container healthy."""
    return bool(panel.inspect(name)["State"]["Health"]["Status"] == "healthy")


def sign_in(page: Page, panel: Composition) -> None:
    """Make the first account; where an earlier try has made it, sign in with it."""
    code = panel.manage("setup_code", "--plain").strip()
    page.goto(URL)
    page.get_by_label("User name").fill("ada")
    page.locator("[name=password]").fill(PASSWORD)
    if code:
        page.get_by_label("Set-up code").fill(code)
        page.locator("[name=password_again]").fill(PASSWORD)
    page.locator("form .btn-primary").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def add_a_server(page: Page, panel: Composition, name: str) -> None:
    """A container with sshd on the network that leads to the fleet, and its row."""
    network = "panel_fleet"
    panel.engine.docker("run", "-d", "--name", name, "--network", network, "gestion-test/server")
    (shown,) = json.loads(panel.engine.docker("inspect", name))
    address = shown["NetworkSettings"]["Networks"][network]["IPAddress"]
    page.goto(f"{URL}/servers/new/")
    page.locator("[name=name]").fill(name)
    page.locator("[name=external_ip]").fill(address)
    page.locator("[name=ssh_connection]").fill(f"root@{address}")
    page.get_by_role("button", name="Add server").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    its_page = page.url
    page.goto(f"{URL}/servers/key/")
    line = page.locator("main").get_by_text("ssh-ed25519").first
    key = f"{line.evaluate('e => e.value || e.innerText')}\n"
    trust = ["exec", "-i", name, "sh", "-c", "cat > /root/.ssh/authorized_keys"]
    panel.engine.docker(*trust, stdin=key.encode())
    page.goto(its_page)


def accept_its_host_key(page: Page) -> None:
    """Look at the server until it has been reached: the page does not show that by itself."""
    accept = page.get_by_role("button", name="Accept")
    wait_for(lambda: bool(page.reload()) and accept.count() > 0, 60, name="its host key")
    send(page, accept)
    wait_for(lambda: contact(page) == "reachable", 60, name="the contact")


def watch_a_job(page: Page, panel: Composition) -> None:
    """Start the built-in work; its lines come one by one over the stream, and so does its end.

    It takes five seconds, which a page may take as well: the worker has it only once somebody looks.
    """
    panel.compose("stop", "worker")
    page.goto(f"{URL}/jobs/")
    page.get_by_role("button", name="Test the worker").click()
    state, log = page.locator("[data-job-state]").first, page.locator(".job-log").first
    expect(state).to_contain_text("waiting")
    panel.compose("up", "-d", "--no-deps", "worker")
    expect(state).to_contain_text("running")
    expect(log).to_contain_text("1")
    expect(state).to_contain_text("done")


def test_workers_can_be_more(panel: Composition) -> None:
    panel.compose("up", "-d", "--no-recreate", "--scale", "worker=2")
    names = panel.engine.docker("ps", "--format", "{{.Names}}").split()
    assert {"panel_worker_1", "panel_worker_2"} <= set(names)
    wait_for(lambda: panel.ask("/health/")[0] == 200, 60, name="the panel")


def test_only_the_proxy_can_be_reached(panel: Composition) -> None:
    published = {
        name: sorted(filter(None, panel.inspect(name)["HostConfig"]["PortBindings"] or {})) for name in OURS
    }
    assert published.pop("proxy") == ["443/tcp", "443/udp", "80/tcp"]
    assert not any(published.values())
    networks = {name: sorted(panel.inspect(name)["NetworkSettings"]["Networks"]) for name in OURS}
    assert networks["proxy"] == ["panel_edge", "panel_front"]
    assert networks["postgres"] == networks["redis"] == ["panel_back"]
    inner = json.loads(panel.engine.docker("network", "inspect", "panel_back", "panel_front"))
    assert all(network["Internal"] for network in inner)


def test_no_process_can_do_more_than_it_must(panel: Composition) -> None:
    for name in (*OURS, *ONCE):
        host = panel.inspect(name)["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert host["CapAdd"] == (["NET_BIND_SERVICE"] if name == "proxy" else None), name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["Memory"] > 0, name
        assert not host["Privileged"], name
    for name in OURS:
        status = panel.inside(name, "cat", "/proc/1/status")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert "0" not in fields["Uid"].split(), name
        assert int(fields["CapEff"], 16) == 0, name
        assert fields["NoNewPrivs"] == "1", name


def test_secrets_are_made_once_and_shown_nowhere(panel: Composition) -> None:
    kept = panel.inside("web1", "cat", "/secrets/panel/gestion.env")
    values = dict(line.split("=", 1) for line in kept.splitlines())
    assert values["SECRET_KEY"] != values["GESTION_ENCRYPTION_KEYS"]
    seen = "".join(json.dumps(panel.inspect(name)) for name in (*OURS, *ONCE)) + panel.compose("logs")
    history = panel.engine.docker("history", "--no-trunc", "gestion/panel:local")
    for name in (
        "SECRET_KEY",
        "GESTION_ENCRYPTION_KEYS",
        "VM_PASS_SECRET",
        "POSTGRES_PASSWORD",
        "REDIS_PASSWORD",
    ):
        assert len(values[name]) >= 48
        assert values[name] not in seen, name
        assert values[name] not in history, name
    assert "All secrets are there." in panel.compose("run", "--rm", "secrets")
    assert panel.inside("web1", "cat", "/secrets/panel/gestion.env") == kept
