"""For `fab` on a command line: every script of this folder, as FILE.TASK.

    cd fabfiles && fab -H root@web1.example.org server.setup

What the panel sets by itself (gestion_ip, keymanagerName, …) is read from `fabric.yml` here, if it is there.
"""

from importlib import import_module
from pathlib import Path

from invoke import Collection

namespace = Collection(auto_dash_names=False)
for path in sorted(Path(__file__).parent.glob("[A-Za-z]*.py")):
    if path.stem != "fabfile":
        module = Collection.from_module(import_module(path.stem), auto_dash_names=False)
        if module.tasks:
            namespace.add_collection(module, name=path.stem)
