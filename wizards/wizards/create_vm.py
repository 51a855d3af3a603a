"""create_vm ⚓: a new server in one go, from its name and its Proxmox host."""

from django.utils.translation import gettext_lazy as _

from wizards.create_vm import (
    ending,
    hanging,
    task_backup,
    task_container,
    task_domain,
    task_login,
    task_nginx,
    task_passwords,
    task_server,
    task_setup,
)
from wizards.create_vm.asking_access import AccessForm, access_defaults
from wizards.create_vm.asking_machine import ContainerForm, NameForm, container_defaults
from wizards.create_vm.asking_services import ServicesForm, services_defaults
from wizards.declare import Step, Task, Wizard

STEPS = (
    Step(
        _("Name"),
        NameForm,
        text=_(
            "All that follows is computed from these two, and open to change. Nothing is done before the end."
        ),
    ),
    Step(_("Container"), ContainerForm, container_defaults),
    Step(_("Access"), AccessForm, access_defaults),
    Step(_("Services"), ServicesForm, services_defaults),
)

TASKS = (
    Task(
        "server",
        _("Server"),
        task_server.do,
        task_server.says,
        task_server.undo,
        task_server.undo_says,
        mends=("address",),
        can_mend=lambda facts: "server" not in facts,
    ),
    Task(
        "groups",
        _("Groups"),
        task_server.do_member,
        task_server.says_member,
        task_server.undo_member,
        task_server.undo_says_member,
        wanted=lambda data: bool(data.get("groups")),
    ),
    Task(
        "groups_allowed",
        _("Allowed groups"),
        task_server.do_allowed,
        task_server.says_allowed,
        task_server.undo_allowed,
        task_server.undo_says_allowed,
        wanted=lambda data: bool(data.get("groups_allowed")),
    ),
    Task(
        "container",
        _("Container"),
        task_container.do,
        task_container.says,
        task_container.undo,
        task_container.undo_says,
        wanted=task_container.wanted,
        mends=(
            *("address", "gateway", "template", "storage", "disk", "memory", "swap", "cores", "bridge"),
            "name_servers",
        ),
        can_mend=task_container.can_mend,
    ),
    Task(
        "login",
        _("First login"),
        task_login.do_first,
        task_login.says_first,
        wanted=task_container.wanted,
        stays=lambda _data: False,
    ),
    Task(
        "port",
        _("SSH port"),
        task_login.do_port,
        task_login.says_port,
        task_login.undo_port,
        task_login.undo_says_port,
        wanted=task_login.wanted_port,
        mends=("ssh_port", "ssh_connection", "backup_connection"),
        can_mend=lambda facts: "rule" not in facts,
    ),
    Task(
        "connection",
        _("Connection"),
        task_login.do_connection,
        task_login.says_connection,
        mends=("ssh_connection", "backup_connection"),
        stays=lambda _data: False,  # the server's row goes, or is put back
    ),
    Task(
        "setup",
        _("Script"),
        task_setup.do,
        task_setup.says,
        wanted=task_setup.wanted,
        mends=("setup", "script", "script_arguments"),
        stays=lambda data: not data.get("make_container"),
    ),
    Task(
        "keys",
        _("Keys"),
        task_setup.do_keys,
        task_setup.says_keys,
        task_setup.undo_keys,
        task_setup.undo_says_keys,
        wanted=task_setup.wanted_keys,
    ),
    Task(
        "passwords",
        _("Passwords"),
        task_passwords.do,
        task_passwords.says,
        task_passwords.undo,
        task_passwords.undo_says,
        wanted=task_passwords.wanted,
        mends=("refuse_passwords",),
    ),
    Task(
        "nginx",
        _("nginx server"),
        task_nginx.do,
        task_nginx.says,
        task_nginx.undo,
        task_nginx.undo_says,
        wanted=task_nginx.wanted,
        mends=("becomes_nginx", "forward_domain", "domain", "domain_port"),
        can_mend=lambda facts: "host" not in facts,
    ),
    Task(
        "domain",
        _("Domain"),
        task_domain.do,
        task_domain.says,
        task_domain.undo,
        task_domain.undo_says,
        wanted=task_domain.wanted,
        mends=("forward_domain", "domain", "domain_port"),
        can_mend=lambda facts: "hostname" not in facts,
    ),
    Task(
        "backup",
        _("Backup"),
        task_backup.do,
        task_backup.says,
        task_backup.undo,
        task_backup.undo_says,
        wanted=task_backup.wanted,
        mends=("backup", "backup_server", "backup_folder", "first_backup"),
        can_mend=lambda facts: "backup" not in facts,
    ),
    Task(
        "first_backup",
        _("First backup"),
        task_backup.do_run,
        task_backup.says_run,
        task_backup.undo_run,
        task_backup.undo_says_run,
        wanted=task_backup.wanted_run,
    ),
)

create_vm = Wizard(
    slug="create_vm",
    needs=(_("a Proxmox host whose API Gestion may use"),),
    name=_("New server"),
    description=_("A container with its port, domain, keys and backup, from its name and its Proxmox host."),
    steps=STEPS,
    tasks=TASKS,
    finish=ending.lines,
    hangs=hanging.others,
    looks=hanging.look,
    icon="server-2",
)
