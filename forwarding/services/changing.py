"""What changes of every noun share: a second word where something may be cut off."""

from collections.abc import Sequence

from pages.second_word import SecondWordNeeded, ask


def second_word(dangers: Sequence[str], *, confirmed: bool) -> dict[str, list[str]]:
    """What to note in the audit trail; raises SecondWordNeeded for dangers that nobody confirmed."""
    if not confirmed:
        ask(SecondWordNeeded(dangers))
    return {"confirmed": list(dangers)} if dangers else {}
