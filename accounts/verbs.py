"""The audit trail in words: what was done, to what kind of thing.

A verb is `noun.action`. The noun's word is the model's own, the action's stands here; a room's new verb reads
well without a line here, only not translated.
"""

from typing import Any

from django.apps import apps
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

# Whole verbs whose two halves would not say it.
VERBS: dict[str, Any] = {
    "session.begin": gettext_lazy("signed in"),
    "session.end": gettext_lazy("signed out"),
    "session.end_other": gettext_lazy("ended a session"),
    "session.end_all": gettext_lazy("ended sessions"),
    "user.set_password": gettext_lazy("set a password"),
    "user.remove_password": gettext_lazy("took the password away"),
    "user.send_password_link": gettext_lazy("mailed a link to set a password"),
    "user.offboard": gettext_lazy("took all access away"),
    "second_factor.on": gettext_lazy("turned two-factor sign-in on"),
    "second_factor.off": gettext_lazy("turned two-factor sign-in off"),
    "second_factor.reset": gettext_lazy("reset two-factor sign-in"),
    "recovery_code.use": gettext_lazy("signed in with a recovery code"),
    "recovery_codes.renew": gettext_lazy("made new recovery codes"),
    "departure.confirm": gettext_lazy("looked: the keys of somebody who left are gone"),
    "panel.set_up": gettext_lazy("set the panel up"),
    "token.create": gettext_lazy("made an API token"),
    "token.revoke": gettext_lazy("revoked an API token"),
    "token.end": gettext_lazy("ended an API token by it"),
    "keys.send_again": gettext_lazy("had the keys sent again"),
    "group.allow": gettext_lazy("allowed a group somewhere"),
    "group.disallow": gettext_lazy("no longer allowed a group somewhere"),
    "group.add_member": gettext_lazy("put into a group"),
    "group.remove_member": gettext_lazy("took out of a group"),
    "backup.make_key": gettext_lazy("made a backup server's key"),
    "backup.restore_preview": gettext_lazy("looked what a restore would change"),
    "backup.restored_to": gettext_lazy("had files of a backup restored to a server"),
    "job.refuse": gettext_lazy("did not begin a job: who asked for it may no longer have it done"),
    "hostname.order_certificate": gettext_lazy("ordered a hostname's certificate"),
    "hostname.read_certificate": gettext_lazy("had a hostname's certificate read"),
    "repository.hook": gettext_lazy("told of a push to a repository"),
    "server.first_login": gettext_lazy("logged in to a server by its generated password"),
    "share.show_password": gettext_lazy("showed a share's password"),
    "share.renew_password": gettext_lazy("gave a share a new password"),
    "wizard.draft": gettext_lazy("began to answer a wizard"),
}
ACTIONS: dict[str, Any] = {
    "acknowledge": gettext_lazy("saw"),
    "add": gettext_lazy("added"),
    "adopt": gettext_lazy("took over"),
    "again": gettext_lazy("started again"),
    "ask": gettext_lazy("rolled out"),
    "change": gettext_lazy("changed"),
    "check": gettext_lazy("checked"),
    "check_all": gettext_lazy("checked all"),
    "choose": gettext_lazy("chose"),
    "create": gettext_lazy("made"),
    "delete": gettext_lazy("deleted"),
    "delete_copies": gettext_lazy("deleted copies"),
    "destroy": gettext_lazy("destroyed"),
    "dismiss": gettext_lazy("dismissed"),
    "forget": gettext_lazy("forgot"),
    "look": gettext_lazy("compared"),
    "prepare": gettext_lazy("prepared"),
    "pull": gettext_lazy("pulled"),
    "read": gettext_lazy("read"),
    "reject": gettext_lazy("rejected"),
    "resume": gettext_lazy("resumed"),
    "undo": gettext_lazy("undid"),
    "verify": gettext_lazy("verified"),
    "remove": gettext_lazy("removed"),
    "renew_secret": gettext_lazy("renewed the secret"),
    "replace": gettext_lazy("replaced"),
    "restore": gettext_lazy("restored"),
    "run": gettext_lazy("ran"),
    "show": gettext_lazy("was shown"),
    "start": gettext_lazy("started"),
    "stop": gettext_lazy("stopped"),
    "switch": gettext_lazy("switched"),
    "try": gettext_lazy("tried"),
    "use": gettext_lazy("used"),
}


def verb_words(verb: str) -> str:
    """What was done, such as “changed (server)”."""
    if verb in VERBS:
        return str(VERBS[verb])
    noun, _dot, action = verb.partition(".")
    if not action:
        return verb
    done = str(ACTIONS.get(action) or action.replace("_", " "))
    return _("%(done)s: %(noun)s") % {"done": done, "noun": noun.replace("_", " ")}


def kind_words(object_type: str) -> str:
    """The kind of thing that a row is about, as its model calls itself."""
    try:
        return str(apps.get_model(object_type)._meta.verbose_name)
    except (LookupError, ValueError):
        return object_type


def verbs_like(words: str, known: list[str]) -> list[str]:
    """The verbs in whose words this occurs, for the search."""
    wanted = words.lower()
    return [verb for verb in known if wanted in verb_words(verb).lower()]
