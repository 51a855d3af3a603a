"""Running git on a folder whose other side may be hostile: nothing of the repository runs, and all has its bounds."""

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from django.utils.translation import gettext as _

from hosts.bounds import MIB, TooMuch, TooSlow
from hosts.programs import run_program

FILES = (
    0o022  # a web server may serve what is pulled; who should not read it is kept out by the folder's mode
)
SECONDS = 120.0  # for each git command, and all that it starts
OUTPUT_BYTES = MIB  # that it may print: progress of a fetch, a conflict's files
PACK_BYTES = 1024 * MIB  # of one file that a fetch may write
MEMORY_BYTES = 1024 * MIB  # of git's own, beside the files that it maps
LIMITS = ("prlimit", f"--fsize={PACK_BYTES}", f"--data={MEMORY_BYTES}", "--core=0", "--")
# Nothing of the repository runs here, nobody is asked anything, nothing goes on afterwards.
OPTIONS = tuple(
    word
    for option in (
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "submodule.recurse=false",
        "fetch.recurseSubmodules=false",
        "protocol.ext.allow=never",
        "transfer.bundleURI=false",
        "gc.auto=0",
        "maintenance.auto=false",
    )
    for word in ("-c", option)
)


class PullFailed(Exception):  # noqa: N818  # its text is a sentence for the job's page
    """The repository is as it was."""


def run_git(folder: Path, *words: str, seconds: float = SECONDS) -> "subprocess.CompletedProcess[bytes]":
    """Run git in a folder, whatever its exit code. Raises PullFailed if it cannot be run or goes beyond its bounds."""
    began = time.time()
    argv = (*LIMITS, "git", *OPTIONS, "-C", str(folder), *words)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK") if name in os.environ}
    env = {
        **kept,
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "GIT_NO_REPLACE_OBJECTS": "1",
    }
    try:
        done = run_program(argv, env=env, seconds=seconds, most=OUTPUT_BYTES, umask=FILES)
    except TooSlow as error:
        raise PullFailed(_("git did not end within %d seconds.") % seconds) from error
    except TooMuch as error:
        raise PullFailed(_("git was ended: %s.") % error) from error
    except OSError as error:
        raise PullFailed(_("git cannot be run: %s") % error) from error
    finally:
        _remove_torn_packs(folder, began)
    return done


def _remove_torn_packs(folder: Path, began: float) -> None:
    """What a fetch that was ended left: git removes it only weeks later, and the disk would fill."""
    with suppress(OSError):
        for torn in (folder / ".git/objects/pack").glob("tmp_*"):
            if torn.stat().st_mtime >= began - 1:
                torn.unlink()
