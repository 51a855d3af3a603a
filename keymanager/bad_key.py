"""What is wrong with a key that somebody pasted."""


class BadKey(ValueError):  # noqa: N818  # a refusal, not a fault
    """A key that is not taken; the text is a sentence for the person who pasted it."""
