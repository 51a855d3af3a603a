"""A new unix user on a server: the account, its password and settings, and who may log in as it."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.actors import Actor
from fabrun.services import run_script
from hosts.host import Host
from jobs.models import Job
from keymanager.models import FetchToken, Group
from keymanager.pushing import fetch_now
from keymanager.services.groups import add_to_group, remove_from_group
from pages.forms import RowsField
from servers.connect import connect
from servers.models import Server, UnixUser
from servers.registry import Held, held_by_unix_user
from servers.services.inventory import DeleteRefused, add_unix_user, remove_unix_user
from servers.validators import validate_text, validate_unix_name
from wizards import homes
from wizards.declare import Data, Later, Line, Refused, Step, StepForm, Task, TaskRun, Wizard
from wizards.following import follow_job

SHELLS = ("/bin/bash", "/bin/sh", "/usr/sbin/nologin")
CONFIG_SCRIPT = "server.copy_user_config"
CONFIG_SECONDS = 300
ALLOWED = "allowed_unix_users"
SHORTEST_PASSWORD = 12


class AccountForm(StepForm):
    """Which user, where."""

    name = forms.CharField(label=gettext_lazy("Unix user"), max_length=32, validators=[validate_unix_name])
    server = forms.ModelChoiceField(label=gettext_lazy("Server"), queryset=Server.objects.none())
    full_name = forms.CharField(
        label=gettext_lazy("Full name"), max_length=100, required=False, validators=[validate_text]
    )
    shell = forms.ChoiceField(label=gettext_lazy("Shell"), choices=[(shell, shell) for shell in SHELLS])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["server"].queryset = Server.objects.order_by("name")  # type: ignore[attr-defined]

    def clean_full_name(self) -> str:
        """No sign that would end the field in /etc/passwd."""
        text = str(self.cleaned_data["full_name"])
        if set(text) & set(":\n\r,="):
            raise ValidationError(_("A colon, a comma, an equals sign or a line break cannot be in it."))
        return text

    def clean(self) -> Data:
        """Not one that the inventory knows."""
        data = super().clean() or {}
        server, name = data.get("server"), data.get("name")
        if server and name and UnixUser.objects.filter(server=server, name=name).exists():
            self.add_error("name", _("%(server)s has this unix user already.") % {"server": server})
        return data


class AccessForm(StepForm):
    """How it is logged in as."""

    only_with = dict.fromkeys(("password", "password_again"), "with_password")

    with_password = forms.BooleanField(
        label=gettext_lazy("Set a password"),
        required=False,
        help_text=gettext_lazy("Without one, only keys log in as this user."),
    )
    password = forms.CharField(
        label=gettext_lazy("Password"),
        required=False,
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    password_again = forms.CharField(
        label=gettext_lazy("Password again"),
        required=False,
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    with_config = forms.BooleanField(
        label=gettext_lazy("Copy our settings for shell and editor"), required=False
    )
    with_keys = forms.BooleanField(
        label=gettext_lazy("Have the keymanager look after its keys"), required=False
    )
    groups = RowsField(
        label=gettext_lazy("Groups whose members may log in as this user"),
        queryset=Group.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["groups"].queryset = Group.objects.order_by("name")  # type: ignore[attr-defined]

    def clean(self) -> Data:
        """Both passwords the same and long enough; groups only with keys."""
        data = super().clean() or {}
        password = data.get("password") or ""
        if data.get("with_password"):
            if len(password) < SHORTEST_PASSWORD:
                self.add_error("password", _("Type at least %d characters.") % SHORTEST_PASSWORD)
            elif not password.isprintable():
                self.add_error("password", _("A line break or control character cannot be in it."))
            elif password != data.get("password_again"):
                self.add_error("password_again", _("This is not the same password."))
        else:
            data["password"] = data["password_again"] = ""
        if data.get("groups") and not data.get("with_keys"):
            self.add_error("with_keys", _("Groups need the keymanager to look after this user's keys."))
        return data


def access_defaults(_actor: Actor, _data: Data) -> Data:
    """All but a password."""
    return {"with_config": True, "with_keys": True}


def server_of(data: Data) -> Server:
    """The server that was chosen. Raises Refused when it is gone."""
    server = Server.objects.filter(pk=data["server"]).first()
    if server is None:
        raise Refused(_("The server is not in the inventory any more."))
    return server


def is_gone(data: Data) -> bool:
    """Whether the server has left the inventory: nothing can be done on it, and its rows went with it."""
    return not Server.objects.filter(pk=data["server"]).exists()


def _who(data: Data) -> dict[str, Any]:
    server = Server.objects.filter(pk=data["server"]).first()
    return {"name": data["name"], "server": server or _("a server that is gone"), "shell": data["shell"]}


def _groups_said(data: Data) -> str:
    names = Group.objects.filter(pk__in=data.get("groups") or ()).order_by("name")
    words = _("Enter %(name)s into the inventory of %(server)s") % _who(data)
    if not names:
        return words
    return _("%(words)s; who may log in: %(groups)s") % {
        "words": words,
        "groups": ", ".join(str(group) for group in names),
    }


def make_account(run: TaskRun) -> None:
    """Make the unix user, unless an earlier call has."""
    server = server_of(run.data)
    listed = server.unix_users.filter(name=run.data["name"]).exists()
    with connect(server) as host:
        make_on(host, run, listed=listed)


def make_on(host: Host, run: TaskRun, *, listed: bool) -> None:
    """Make it on its server. What was there before is not ours to take back: an account, a folder in its place."""
    name = run.data["name"]
    home = homes.home_of(host, name)
    if home and not run.facts.get("ours"):
        raise Refused(_("There is a unix user %s on the server already.") % name)
    if not home:
        found = homes.lies_there(host, name)
        run.save(ours=True, listed=listed, found=found)
        argv = ["useradd", "--create-home", "--shell", run.data["shell"]]
        made = host.run([*argv, "--comment", run.data["full_name"], "--", name])
        home = homes.home_of(host, name)
        run.save(ours=bool(home))  # one that comes after this failed is somebody else's
        made.check()
    if run.facts.get("found"):
        run.log(_("%s was there before: it is the home folder now, and an undo leaves it.") % home)
    run.save(home=home, mark=homes.mark_of_user(host, name))
    run.log(_("%s is there now.") % name)


def remove_account(run: TaskRun) -> None:
    """Remove the unix user that we made, with the home that it got, unless more would go with that than this user."""
    if is_gone(run.data):
        run.log(removes(run.data, {"account": run.facts}))
    elif run.facts.get("ours"):
        with connect(server_of(run.data)) as host:
            remove_from(host, run)


def remove_from(host: Host, run: TaskRun) -> None:
    """Remove it from its server."""
    name, stays = run.data["name"], bool(run.facts.get("found"))
    homes.check_alone(host, name, _home(run.data, run.facts), mark=run.facts.get("mark", ""), stays=stays)
    if homes.home_of(host, name):
        homes.remove(host, name, stays=stays)


def removes(data: Data, results: Mapping[str, Data]) -> str:
    """What an undo of the account does."""
    account = results.get("account", {})
    if not account.get("ours"):  # another's of that name, say, for which the run has ended
        return _("No unix user was made")
    if is_gone(data):
        return (
            _("The server is not in the inventory any more: %s stays on it, if that is still there")
            % data["name"]
        )
    if account.get("found"):
        words = _("Remove the unix user %(name)s from %(server)s; %(home)s, which was there before, stays")
        return words % {**_who(data), "home": _home(data, account)}
    return _("Remove the unix user %(name)s from %(server)s, with its home folder") % _who(data)


def in_home(data: Data, results: Mapping[str, Data], goes: str, stays: str) -> str:
    """What becomes of what lies in the home folder, which stays where it was there before."""
    account = results.get("account", {})
    return stays % _home(data, account) if account.get("found") or is_gone(data) else goes


def look(data: Data, results: Mapping[str, Data]) -> None:
    """Have the server say what else would go with the home folder, before anything is taken back. Raises Refused."""
    account = results.get("account", {})
    if account.get("ours") and not is_gone(data):
        with connect(server_of(data)) as host:
            stays = bool(account.get("found"))
            mark = account.get("mark", "")
            homes.check_alone(host, data["name"], _home(data, account), mark=mark, stays=stays)


def _home(data: Data, account: Data) -> str:
    return account.get("home") or f"/home/{data['name']}"


def set_password(run: TaskRun) -> None:
    """Set the password, by standard input: it is in no list of processes."""
    line = f"{run.data['name']}:{run.data['password']}\n"
    with connect(server_of(run.data)) as host:
        host.run(["chpasswd"], stdin=line.encode()).check()


def copy_config(run: TaskRun) -> Later | None:
    """Run the script for it."""

    def start() -> Job:
        made = run_script(
            run.actor,
            CONFIG_SCRIPT,
            [server_of(run.data)],
            arguments={},
            unix_user=run.data["name"],
            seconds=CONFIG_SECONDS,
        )
        job = made.parts.get().job
        if job is None:
            raise Refused(_("The script was not started."))
        return job

    return follow_job(run, start)


def enter_row(run: TaskRun) -> None:
    """Enter the unix user into the inventory, and allow the groups."""
    server = server_of(run.data)
    with transaction.atomic():
        row = UnixUser.objects.filter(server=server, name=run.data["name"]).first()
        if row is None:
            row = add_unix_user(run.actor, server, run.data["name"])
            run.save(row=row.pk)
        new = Group.objects.filter(pk__in=run.data["groups"]).exclude(allowed_unix_users=row)
        run.save(allowed=[*run.facts.get("allowed", ()), *new.values_list("pk", flat=True)], of=row.pk)
        for group in list(new):
            add_to_group(run.actor, group, ALLOWED, [row])


def leaves_row(data: Data, results: Mapping[str, Data]) -> str:
    """What an undo does with the inventory: a row that somebody else made stays, less what the run allowed."""
    facts = results.get("row", {})
    if is_gone(data):
        return _("In the inventory it went with its server")
    if "row" in facts:
        return _("Take %(name)s on %(server)s out of the inventory and of its groups") % _who(data)
    words = _("%(name)s on %(server)s stays in the inventory, where somebody else had entered it") % _who(
        data
    )
    names = Group.objects.filter(pk__in=facts.get("allowed", ())).order_by("name")
    if not names:
        return words
    return _("%(words)s; who may not log in any more: %(groups)s") % {
        "words": words,
        "groups": ", ".join(str(group) for group in names),
    }


def remove_row(run: TaskRun) -> None:
    """Take the row that we made away; the groups lose it by that."""
    row = UnixUser.objects.filter(pk=run.facts.get("row") or 0).first()
    if row is not None:
        try:
            remove_unix_user(run.actor, row)
        except DeleteRefused as error:
            raise Refused(str(error)) from error
    theirs = UnixUser.objects.filter(pk=run.facts.get("of") or 0).first()
    if theirs is not None:  # somebody else has entered it
        for group in Group.objects.filter(pk__in=run.facts.get("allowed", ())):
            remove_from_group(run.actor, group, ALLOWED, theirs)


def others(data: Data, results: Mapping[str, Data]) -> list[Held]:
    """What others have made of the unix user since: it goes with its home folder, and cannot be brought back."""
    account = results.get("account", {})
    if not account.get("ours"):
        return []
    at_home = [] if account.get("found") else list(homes.held_in(data["server"], _home(data, account)))
    row = UnixUser.objects.select_related("server").filter(server=data["server"], name=data["name"]).first()
    if row is None:
        return at_home
    if row.pk != results.get("row", {}).get("row") and not account.get("listed"):
        text = _("%s was entered into the inventory")
        return [Held(text % row, row.server.get_absolute_url()), *at_home]
    allowed = row.allowed_groups.exclude(pk__in=data.get("groups") or ())
    return [
        *(held for held in held_by_unix_user(row) if held.blocks or held.row),
        *(Held(_("the group %s is allowed on it") % group, group.get_absolute_url()) for group in allowed),
        *at_home,
    ]


def fetch_keys(run: TaskRun) -> Later | None:
    """Have the server fetch its keys now, if it fetches them from here at all."""
    server = server_of(run.data)
    fetching = FetchToken.objects.filter(server=server, server__fetch_report__isnull=False).exists()
    if not fetching:
        run.log(_("%s does not fetch its keys from here yet; set that up on its keymanager page.") % server)
        return None
    return follow_job(run, lambda: fetch_now(run.actor, [server]))


def nothing(_run: TaskRun) -> None:
    """It goes with the account."""


def finish(data: Data, _results: Any) -> list[Line]:
    """Where the new user is."""
    server = Server.objects.filter(pk=data["server"]).first()
    if server is None:
        return []
    return [
        Line(_("Server"), server.name, server.get_absolute_url()),
        Line(_("Unix user"), data["name"]),
    ]


def has(part: str) -> Any:
    """Whether this part is switched on."""
    return lambda data: bool(data.get(part))


wizard = Wizard(
    slug="create_user",
    name=gettext_lazy("New unix user"),
    description=gettext_lazy("Makes a user on a server, with shell, settings and keys."),
    icon="user-plus",
    needs=(gettext_lazy("a server that Gestion reaches"),),
    steps=(
        Step(gettext_lazy("Account"), AccountForm),
        Step(gettext_lazy("Ways in"), AccessForm, access_defaults),
    ),
    tasks=(
        Task(
            "account",
            gettext_lazy("Account"),
            make_account,
            lambda data: _("Make the unix user %(name)s on %(server)s, with %(shell)s") % _who(data),
            remove_account,
            removes,
        ),
        Task(
            "password",
            gettext_lazy("Password"),
            set_password,
            lambda _data: _("Set its password"),
            nothing,
            lambda _data: _("Its password goes with it"),
            has("with_password"),
        ),
        Task(
            "config",
            gettext_lazy("Settings"),
            copy_config,
            lambda _data: _("Copy our settings for shell and editor into its home folder"),
            nothing,
            lambda data, results: in_home(
                data, results, _("Its settings go with it"), _("Its settings stay in %s")
            ),
            has("with_config"),
        ),
        Task(
            "row",
            gettext_lazy("Keymanager"),
            enter_row,
            _groups_said,
            remove_row,
            leaves_row,
            has("with_keys"),
        ),
        Task(
            "keys",
            gettext_lazy("Keys"),
            fetch_keys,
            lambda data: _("Have %(server)s fetch its keys now") % _who(data),
            nothing,
            lambda data, results: in_home(data, results, _("Its keys go with it"), _("Its keys stay in %s")),
            has("with_keys"),
        ),
    ),
    finish=finish,
    hangs=others,
    looks=look,
)
