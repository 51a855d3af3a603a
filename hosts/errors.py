# ruff: noqa: N818  (the names are said on pages and in the other rooms; "Error" would add nothing)
"""What can go wrong with a host. Each error has a sentence that says what to do, and the host's own words."""

from collections.abc import Sequence

from hosts.bounds import last_words


def gettext_noop(text: str) -> str:
    """Mark a sentence for translation; the page translates it as `_(error.sentence) % error.values`."""
    return text


class HostError(Exception):
    """Something went wrong with a host.

    `host` is its name, `words` what the host (or the network) said itself, `sentence` an English format for
    `values`; str() is the finished sentence. Secrets are in none of them.
    """

    sentence: str = gettext_noop("%(host)s: something went wrong.")

    def __init__(self, host: str = "", words: str = "", **values: object) -> None:
        super().__init__(host, words)
        self.host = host
        self.words = last_words(words)
        # A host that speaks in sentences brings the full stop that ours has already.
        said = self.words.removesuffix(".") if "%(words)s." in self.sentence else self.words
        self.values: dict[str, object] = {"host": host or "host", "words": said, **values}

    def __str__(self) -> str:
        return self.sentence % self.values

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.host, self.words, self.values, self.__dict__))


def _rebuild(
    cls: type[HostError], host: str, words: str, values: dict[str, object], fields: dict[str, object]
) -> HostError:
    error = cls.__new__(cls)
    HostError.__init__(error, host, words)
    error.values = values
    error.__dict__.update(fields)
    return error


class Unreachable(HostError):
    """No TCP connection, or no SSH server behind it."""

    sentence = gettext_noop(
        "%(host)s cannot be reached (%(words)s). "
        "Check that it is running and that address, port and firewall are right."
    )


class HostKeyUnknown(HostError):
    """No key is pinned for this host yet; `key` and `fingerprint` are what it showed."""

    sentence = gettext_noop(
        "%(host)s is not known yet. Compare its key's fingerprint %(fingerprint)s with the one on the host's console, "
        "then accept it."
    )

    def __init__(self, host: str = "", *, key: str, fingerprint: str) -> None:
        super().__init__(host, key=key, fingerprint=fingerprint)
        self.key = key
        self.fingerprint = fingerprint


class HostKeyChanged(HostError):
    """The host showed a key that is not pinned; `expected` and `found` are fingerprints."""

    sentence = gettext_noop(
        "%(host)s shows another host key (%(found)s) than the one accepted before (%(expected)s). "
        "Nothing was sent to it. If it was reinstalled, accept the new key; if not, somebody may be in between."
    )

    def __init__(self, host: str = "", *, expected: str, found: str, key: str = "") -> None:
        super().__init__(host, expected=expected, found=found, key=key)
        self.expected = expected
        self.found = found
        self.key = key


class LoginRefused(HostError):
    """The host is there and is the right one, but does not let the panel in. `methods`: those it takes, if it said."""

    sentence = gettext_noop(
        "%(host)s refused the login (%(words)s). Check that the panel's public key is in the user's authorized_keys, "
        "and that sshd_config there lets this user in (PermitRootLogin, AllowUsers)."
    )

    def __init__(self, host: str = "", words: str = "", *, methods: Sequence[str] = ()) -> None:
        super().__init__(host, words)
        self.methods = tuple(methods)


class TimedOut(HostError):
    """An answer did not come in time; what ran on the host was ended."""

    sentence = gettext_noop(
        "%(host)s did not answer in %(seconds)s seconds (%(words)s). Try again, or look at its load."
    )

    def __init__(self, host: str = "", words: str = "", *, seconds: float) -> None:
        super().__init__(host, words, seconds=f"{seconds:g}")
        self.seconds = seconds


class Interrupted(HostError):
    """The connection ended in the middle; whether the work was done is not known yet."""

    sentence = gettext_noop(
        "The connection to %(host)s was lost in the middle (%(words)s). The host finishes or undoes by itself; "
        "the next look at it says which."
    )


class AnswerTooLong(Interrupted):
    """The host sent more than any answer has, and was cut off; whether the work was done is not known."""

    sentence = gettext_noop(
        "%(host)s sent far more than was asked for (%(words)s), and the connection was cut. "
        "Look at what answers there before you trust it."
    )


class CommandFailed(HostError):
    """A command ended with an exit code that is not 0."""

    sentence = gettext_noop("%(host)s: the command %(command)s ended with code %(code)s: %(words)s")

    def __init__(self, host: str = "", words: str = "", *, command: str, code: int) -> None:
        super().__init__(host, words, command=command, code=code)
        self.command = command
        self.code = code


class NotPlain(HostError):
    """It lets us in, but a command's answer is not its own: the login prints something, or starts something else."""

    sentence = gettext_noop(
        "%(host)s lets the panel in, but its login answers otherwise than the command that is asked for (%(words)s). "
        "Have it print nothing where there is no terminal, and start what it is told: look at .bashrc and .profile, "
        "at the login shell, and for a forced command in authorized_keys and sshd_config there."
    )


class CheckFailed(HostError):
    """The host's own check refused the new files; they never counted, the old state is there."""

    sentence = gettext_noop(
        "%(host)s refuses the new files (%(command)s): %(words)s. Nothing was changed; correct the entry and try again."
    )

    def __init__(self, host: str = "", words: str = "", *, command: str = "") -> None:
        super().__init__(host, words, command=command)


class ActivationFailed(HostError):
    """The new files could not be activated; the old state is back and active."""

    sentence = gettext_noop(
        "%(host)s could not activate the new files (%(command)s): %(words)s. The old state is back and active."
    )

    def __init__(self, host: str = "", words: str = "", *, command: str = "") -> None:
        super().__init__(host, words, command=command)


class ProofFailed(HostError):
    """The new state did not prove itself; the old state is back and active."""

    sentence = gettext_noop(
        "%(host)s took the new files but they did not prove themselves (%(command)s): %(words)s. "
        "The old state is back and active."
    )

    def __init__(self, host: str = "", words: str = "", *, command: str = "") -> None:
        super().__init__(host, words, command=command)


class Drift(HostError):
    """The host's files changed between plan and apply; nothing was touched."""

    sentence = gettext_noop(
        "%(host)s has changed since the plan was made. Nothing was touched; look at the new difference and try again."
    )


class ForeignFile(HostError):
    """Files that are not ours lie where ours should go; nothing was touched."""

    sentence = gettext_noop(
        "%(host)s already has files there that are not ours: %(paths)s. Nothing was touched; look at the difference "
        "and adopt them (they are kept aside), or move them away."
    )

    def __init__(self, host: str = "", words: str = "", *, paths: Sequence[str]) -> None:
        super().__init__(host, words, paths=", ".join(paths))
        self.paths = tuple(paths)


class WriteFailed(HostError):
    """The host could not write the new files; the old state is there."""

    sentence = gettext_noop(
        "%(host)s could not write the new files (%(words)s). The old state is there; "
        "look at the file system of the host."
    )


class DiskFull(HostError):
    """A disk of the host is full; the old state is there."""

    sentence = gettext_noop(
        "A disk of %(host)s is full (%(words)s). The old state is there; free some space and try again."
    )


class RolledBack(HostError):
    """The new state was not confirmed in time, so the host put the old one back by itself."""

    sentence = gettext_noop(
        "%(host)s put the old state back, because the panel could not prove the new one from outside: %(words)s"
    )


class RollbackFailed(HostError):
    """The old state could not be put back or not be activated: somebody must look at the host now."""

    sentence = gettext_noop(
        "%(host)s needs a look NOW: putting the old state back failed (%(words)s). "
        "What is left to put back is listed in /var/lib/gestion/runs on the host."
    )


class Busy(HostError):
    """Another apply is running on the host, or waits for its proof."""

    sentence = gettext_noop(
        "%(host)s is being changed by another rollout (%(words)s). Try again in a moment."
    )
