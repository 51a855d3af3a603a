"""The ways of a rollout that `bench.rollout` measures: OpenSSH as the limit, and ours."""

import hashlib
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from bench.rollout_tools import REMOTE, Machine
from hosts.address import Address
from hosts.engine import apply, plan
from hosts.host import Host
from hosts.pool import Pool
from hosts.ssh import SSHHost, Target
from hosts.state import Command, File, State

# The least that does the work: no plan, no checkpoint, nothing put back if it fails
_SCRIPT = """set -e
f={path}
old=$(sha256sum $f 2>/dev/null || :)
[ "${{old%% *}}" = {digest} ] && exit 0
cat >$f.new <<'END'
{content}END
mv $f.new $f
nginx -t 2>/dev/null
systemctl reload nginx
new=$(sha256sum $f)
[ "${{new%% *}}" = {digest} ]
"""


def content(number: int) -> bytes:
    """A configuration of 2 KB that nginx accepts, another one for each number."""
    head = f"# {number}\nserver {{\n    listen 127.0.0.1:8099;\n    server_name bench{number}.example.org;\n"
    filler = "".join(
        f"    # a line like those of a real configuration, number {line:03}\n" for line in range(40)
    )
    whole = f"{head}{filler}"
    return f"{whole[: 2048 - 2]}".rpartition("\n")[0].encode() + b"\n}\n"


def state(wanted: bytes) -> State:
    """Our kind: checked in place, reloaded; the engine reads back what it wrote."""
    return State(
        "bench",
        (File(REMOTE, wanted),),
        checks=(Command(("nginx", "-t"), in_place=True),),
        activate=(Command(("systemctl", "reload", "nginx")),),
    )


class OpenSSH:
    """One connection a host, one script on standard input, all at once."""

    def __init__(self, machines: Sequence[Machine], key: Path, known: Path) -> None:
        self.machines = machines
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={known}"]
        options += ["KexAlgorithms=curve25519-sha256", "ControlMaster=no", "ControlPath=none"]
        self.argv = ["ssh", "-F", "none", "-T", "-i", str(key), "-o", "IdentitiesOnly=yes"]
        self.argv += [word for option in options for word in ("-o", option)]

    def __call__(self, wanted: bytes) -> None:
        """Roll it out."""
        digest = hashlib.sha256(wanted).hexdigest()
        script = _SCRIPT.format(path=REMOTE, digest=digest, content=wanted.decode()).encode()
        running = [
            subprocess.Popen(
                [*self.argv, f"root@{machine.address}", "sh -s"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for machine in self.machines
        ]
        for process in running:
            if process.stdin:
                process.stdin.write(script)
                process.stdin.close()
        for process in running:
            if process.wait():
                raise RuntimeError(process.stderr.read().decode() if process.stderr else "ssh failed")


class Ours:
    """The engine, a thread a host, as a worker of the panel does it: plan, and apply if there is a change."""

    def __init__(self, machines: Sequence[Machine], key: Path) -> None:
        private = key.read_text()
        self.targets = [Target(Address(one.address), (one.host_key,), private) for one in machines]
        self.pool = Pool(idle_seconds=600)

    def cold(self, wanted: bytes) -> None:
        """Roll it out over new connections."""

        def one(target: Target) -> None:
            with closing(SSHHost(target)) as host:
                self._roll_out(host, wanted)

        self._everywhere(one)

    def warm(self, wanted: bytes) -> None:
        """Roll it out over the pool's connections."""

        def one(target: Target) -> None:
            with self.pool.connect(target) as host:
                self._roll_out(host, wanted)

        self._everywhere(one)

    def nothing(self, wanted: bytes) -> None:
        """Look, over new connections, where there is nothing to do."""

        def one(target: Target) -> None:
            with closing(SSHHost(target)) as host:
                if not plan(host, state(wanted)).empty:
                    raise RuntimeError("there was something to do")

        self._everywhere(one)

    def _roll_out(self, host: Host, wanted: bytes) -> None:
        found = plan(host, state(wanted))
        if not apply(host, found, adopt=True).changed:
            raise RuntimeError("there was nothing to do")

    def _everywhere(self, one: Callable[[Target], None]) -> None:
        failed: list[BaseException] = []

        def guarded(target: Target) -> None:
            try:
                one(target)
            except BaseException as error:  # noqa: BLE001 - a thread's failure is raised again below
                failed.append(error)

        threads = [threading.Thread(target=guarded, args=(target,)) for target in self.targets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
