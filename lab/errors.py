"""What can go wrong with a lab, in sentences that say what to do."""


class LabError(Exception):
    """The lab could not do what was asked; the message says why and what to do."""


class LabUnavailable(LabError):  # noqa: N818 (says what is the case, in one word)
    """This machine cannot run a lab at all: no root, no LXC, or a kernel that does not allow it."""
