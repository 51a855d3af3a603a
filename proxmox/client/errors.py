"""What can go wrong with a Proxmox API, each with Proxmox's own words and a sentence that says what to do.

str() of each is that sentence. `code` is a stable word for rows and JSON; `words` are Proxmox's own.
"""

from collections.abc import Sequence

from django.utils.translation import gettext as _


class ProxmoxError(Exception):
    """Any of them. `host` is the name of the Proxmox host in the inventory."""

    code = "error"

    def __init__(self, host: str, sentence: str, words: str = "") -> None:
        self.host = host
        self.words = words
        super().__init__(sentence)


class NoCredentials(ProxmoxError):  # noqa: N818 - the room's errors are named for what is the matter
    """Nobody has said with which token or password to sign in."""

    code = "no_credentials"

    def __init__(self, host: str) -> None:
        super().__init__(
            host,
            _("Gestion has no token or password for the Proxmox API of %s. Fill in its access settings.")
            % host,
        )


class Unreachable(ProxmoxError):  # noqa: N818
    """No connection came about: nothing was sent."""

    code = "unreachable"

    def __init__(self, host: str, words: str) -> None:
        said = _("The Proxmox API of %(host)s cannot be reached: %(words)s.") % {"host": host, "words": words}
        super().__init__(host, said, words)


class NoAnswer(Unreachable):
    """The question was sent, and no answer came in time: a change may have been made, or not."""

    code = "no_answer"

    def __init__(self, host: str, words: str) -> None:
        super().__init__(host, words)
        said = _("The Proxmox API of %(host)s does not answer: %(words)s.") % {"host": host, "words": words}
        self.args = (said,)


class AnswerTooLong(NoAnswer):
    """It sent more than any answer has, and was cut off: a change may have been made, or not."""

    code = "answer_too_long"


class CertificateUnknown(ProxmoxError):  # noqa: N818
    """Its certificate is neither signed by a CA that this machine trusts nor accepted. Nothing was sent."""

    code = "certificate_unknown"

    def __init__(self, host: str, fingerprint: str, pem: str) -> None:
        self.fingerprint, self.pem = fingerprint, pem
        super().__init__(
            host,
            _(
                "The Proxmox API of %(host)s shows a certificate that nobody has accepted yet. Compare its "
                "fingerprint and accept it: %(fingerprint)s"
            )
            % {"host": host, "fingerprint": fingerprint},
            fingerprint,
        )


class CertificateChanged(CertificateUnknown):
    """It shows another certificate than the accepted one. Nothing was sent, and nothing will be."""

    code = "certificate_changed"

    def __init__(self, host: str, fingerprint: str, pem: str, expected: str) -> None:
        super().__init__(host, fingerprint, pem)
        self.expected = expected
        self.args = (
            _(
                "The Proxmox API of %(host)s shows another certificate than the accepted one. Nothing is sent to "
                "it until an admin has compared and accepted the new one: %(fingerprint)s"
            )
            % {"host": host, "fingerprint": fingerprint},
        )


class SignInRefused(ProxmoxError):  # noqa: N818
    """The token or password does not count (any more)."""

    code = "sign_in_refused"

    def __init__(self, host: str, who: str, words: str) -> None:
        self.who = who
        super().__init__(
            host,
            _("Proxmox on %(host)s does not let %(who)s in: %(words)s. Check the token or password.")
            % {"host": host, "who": who, "words": words},
            words,
        )


class RightsMissing(ProxmoxError):  # noqa: N818
    """Signed in, but not allowed. `path` and `privileges` (any one of them would do), where Proxmox tells."""

    code = "rights_missing"

    def __init__(self, host: str, who: str, path: str, privileges: Sequence[str], words: str) -> None:
        self.who, self.path, self.privileges = who, path, tuple(privileges)
        if path:
            said = _("%(who)s lacks the right %(privileges)s on %(path)s of %(host)s.") % {
                "who": who,
                "privileges": _(" or ").join(self.privileges),
                "path": path,
                "host": host,
            }
        else:
            said = _("Proxmox on %(host)s does not allow that to %(who)s: %(words)s.") % {
                "host": host,
                "who": who,
                "words": words,
            }
        super().__init__(host, said, words)


class Refused(ProxmoxError):  # noqa: N818
    """Proxmox said no. `status` and `words` are its own; `errors` says what is wrong with which field."""

    code = "refused"

    def __init__(self, host: str, status: int, words: str, errors: dict[str, str] | None = None) -> None:
        self.status = status
        self.errors = errors or {}
        fields = "; ".join(f"{name}: {text}" for name, text in self.errors.items())
        told = f"{words.rstrip('.')}: {fields}" if fields else words
        said = _("Proxmox on %(host)s refused: %(words)s") % {"host": host, "words": told}
        super().__init__(host, said, told)


class Locked(Refused):
    """Something goes on with the guest (`lock`: "backup", "create", …; empty: another change)."""

    code = "locked"

    def __init__(self, host: str, status: int, words: str, lock: str) -> None:
        super().__init__(host, status, words)
        self.lock = lock
        self.args = (
            _("The guest is locked on %(host)s: %(words)s. Try again when that is done.")
            % {"host": host, "words": words},
        )


class ChangedMeanwhile(Refused):
    """The configuration is not the one whose digest was sent; nothing was changed."""

    code = "changed_meanwhile"

    def __init__(self, host: str, status: int, words: str) -> None:
        super().__init__(host, status, words)
        self.args = (
            _(
                "Somebody else has changed these settings meanwhile; yours were not. Read them again, and try again."
            ),
        )


class Gone(Refused):
    """There is no such guest on this node."""

    code = "gone"


class NodeDown(Refused):
    """The API answers, and says that the node itself does not (595 to 599)."""

    code = "node_down"

    def __init__(self, host: str, status: int, words: str) -> None:
        super().__init__(host, status, words)
        self.args = (
            _("The node %(host)s does not answer to its cluster: %(words)s.")
            % {"host": host, "words": words},
        )


class OtherGuest(ProxmoxError):  # noqa: N818
    """What is there under this id is not the guest that was meant; nothing was done to it."""

    code = "other_guest"


class GuestRuns(ProxmoxError):  # noqa: N818
    """The guest runs, and nobody has said that it may be stopped."""

    code = "runs"


class Kept(ProxmoxError):  # noqa: N818
    """Proxmox would not destroy the guest as it is set now; nothing was done to it."""

    code = "kept"


class TaskFailed(ProxmoxError):  # noqa: N818
    """The task ended with something else than OK; `lines` are the last of its log."""

    code = "task_failed"

    def __init__(self, host: str, upid: str, exit_status: str, lines: Sequence[str] = ()) -> None:
        self.upid, self.exit_status, self.lines = upid, exit_status, tuple(lines)
        said = _("The task failed on %(host)s: %(words)s") % {"host": host, "words": exit_status}
        super().__init__(host, said, exit_status)


class TaskTimeout(ProxmoxError):  # noqa: N818
    """The task was not at its end in time; it goes on."""

    code = "task_timeout"

    def __init__(self, host: str, upid: str, seconds: float) -> None:
        self.upid = upid
        said = _("The task did not end within %(seconds)d s, and still runs on %(host)s.")
        super().__init__(host, said % {"seconds": seconds, "host": host})


class BadName(ValueError):  # noqa: N818
    """A node, storage, id, snapshot or task that cannot be one; it is not sent."""
