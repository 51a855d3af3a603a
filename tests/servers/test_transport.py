"""How the panel's processes reach hosts."""

import subprocess
import sys

ASK = "import django; django.setup(); import sys; print({'paramiko', 'fabric'} & set(sys.modules))"


def test_what_speaks_ssh_is_loaded_only_by_processes_that_connect() -> None:
    """A web process has no use for it, and it is a good part of what every start takes."""
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
