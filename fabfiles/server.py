"""Scripts for servers: prepare a new one, have it fetch its keys, give a person's shell its settings."""

import io
import shlex
from pathlib import Path

from fabric import Connection, task
from invoke.exceptions import Exit

CONFIG = Path(__file__).parent / "config"
TOOLS = "ca-certificates cron curl less procps rsync"
KEYS = "/usr/local/sbin/gestion-keys"
MARK = "# gestion"


@task
def setup(
    c: Connection, tools: str = TOOLS, configuration: bool = True, keys: bool = True, services: str = ""
) -> None:
    """Prepare a new Debian server: tools, root's shell, the way to the panel, and the fetching of keys.

    `services` are systemd units that are to run from now on, such as nginx. Run it as often as you like: only what is
    missing is done.
    [$AG:NeedGestion] [$AG:NeedKM]
    """
    install_tools(c, tools.split())
    if configuration:
        copy_settings(c, "root")
    write_hosts_entry(c, c.config.get("gestion_ip", ""), c.config.get("gestion_name", ""))
    if keys:
        copy_key_manager.body(c)
        execute_key_manager.body(c)
    if services.split():
        c.run(shlex.join(["systemctl", "enable", "--now", "--", *services.split()]))


@task
def copy_key_manager(c: Connection) -> None:
    """Install the script that fetches the server's keys every hour, with its settings and cron entry.

    [$AG:NeedKM]
    """
    script = c.config.get("keymanager_script", "")
    if not script:
        raise Exit(
            "keymanager_script is empty: run this from the panel, or paste the script of its keymanager page."
        )
    names = ", ".join(c.config.get("keyManagerUsers", []))
    print(f"Keys of {c.config.get('keymanagerName', '')} for {names or 'nobody yet'}")
    run_with_input(c, "sh -s", script)  # on standard input: it holds the server's token


@task
def execute_key_manager(c: Connection) -> None:
    """Fetch the server's keys now. [$AG:NeedKM]"""
    c.run(KEYS)


@task
def copy_user_config(c: Connection, overwrite: bool = False) -> None:
    """Give a unix user's shell and editor our settings; what is there already is kept, unless told otherwise.

    [$AG:NeedUser]
    """
    copy_settings(c, c.fab_user, overwrite)


def install_tools(c: Connection, tools: list[str]) -> None:
    """Install the Debian packages that are missing."""
    known = c.run(
        shlex.join(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n", *tools]),
        hide=True,
        warn=True,
    )
    there = {line.split()[0] for line in known.stdout.splitlines() if line.endswith(" installed")}
    missing = [tool for tool in tools if tool not in there]
    if not missing:
        print(f"All tools are there: {', '.join(tools)}")
        return
    c.run("apt-get update -q")
    c.run(
        "DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends -- " + shlex.join(missing)
    )


def copy_settings(c: Connection, user: str, overwrite: bool = False) -> None:
    """Put the files of config/ into a user's home, as dot files of his own."""
    home = home_of(c, user)
    for path in sorted(CONFIG.iterdir()):
        target = f"{home}/.{path.name}"
        if (
            not overwrite
            and c.run(f"test -e {shlex.quote(target)} -o -L {shlex.quote(target)}", warn=True, hide=True).ok
        ):
            print(f"{target} is there already")
            continue
        command = f"umask 022 && rm -f -- {shlex.quote(target)} && cat >{shlex.quote(target)}"
        run_with_input(c, as_user(user, command), path.read_text())
        print(f"{target} written")


def as_user(user: str, command: str) -> str:
    """A command that runs another one as this unix user: root would follow a link that the user has put there.

    Other processes of that user can stop it and take what it has open (pidfd_getfd(2)), so it is ended after half a
    minute and has nothing of root's but its standard input: no output, environment or working folder.
    """
    clean = "env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C"
    become = f"runuser -u {shlex.quote(user)} -- sh -c {shlex.quote(command)}"
    return f"cd / && timeout -k 5 30 {clean} {become} >/dev/null 2>&1"


def home_of(c: Connection, user: str) -> str:
    """A unix user's home folder. Ends the script when there is no such user."""
    found = c.run(shlex.join(["getent", "passwd", user]), hide=True, warn=True)
    if not found.ok:
        raise Exit(f"There is no unix user {user} on {c.host}.")
    return str(found.stdout.strip().split(":")[5])


def write_hosts_entry(c: Connection, address: str, name: str) -> None:
    """Have the server find the panel at its inside address; only our own, marked line is ever changed."""
    if not (address and name):
        return
    before = c.run("cat /etc/hosts", hide=True).stdout
    others = [line for line in before.splitlines() if not line.rstrip().endswith(MARK)]
    after = "\n".join([*others, f"{address}\t{name}\t{MARK}"]) + "\n"
    if after == before:
        print(f"/etc/hosts knows {name} already")
        return
    command = "cat >/etc/hosts.gestion && chmod 644 /etc/hosts.gestion && mv -f /etc/hosts.gestion /etc/hosts"
    run_with_input(c, command, after)
    print(f"/etc/hosts: {name} is {address}")


def run_with_input(c: Connection, command: str, text: str) -> None:
    """Run a command with this text on its standard input; for a moment it is in a file that only root may read.

    Fabric's own `in_stream` sends a hundred bytes a second.
    """
    place = c.run("mktemp", hide=True).stdout.strip()
    try:
        c.put(io.BytesIO(text.encode()), place)
        c.run(f"{{ {command}; }} <{place}")
    finally:
        c.run(f"rm -f {place}")
