"""Names that look like others: shown so that one sees which letters they are made of."""

import unicodedata

import idna
from django.utils.translation import gettext as _

# Written together in one language (UTS #39, highly restrictive level: Japanese, Chinese, Korean, each with Latin).
_EAST_ASIAN = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO"}


def in_letters(domain: str) -> str:
    """A domain in punycode in the letters of its language; as it is where that cannot be."""
    try:
        return ".".join(
            idna.decode(label) if label.startswith("xn--") else label for label in domain.split(".")
        )
    except (idna.IDNAError, UnicodeError, ValueError):
        return domain


def both_spellings(name: str) -> str:
    """A name in its letters and in ASCII: “bücher.example (xn--bcher-kva.example)”; an ASCII name alone.

    Where letters of several scripts stand in one part of it, such as a Cyrillic а among Latin ones, it says so.
    """
    letters = in_letters(name) if name.isascii() else name
    if letters.isascii():
        return name
    plain = name if name.isascii() else _in_ascii(name)
    mixed = any(mixes_scripts(part) for part in letters.split("."))
    return f"{letters} ({plain}; {_('letters of several scripts')})" if mixed else f"{letters} ({plain})"


def mixes_scripts(text: str) -> bool:
    """Whether its letters belong to scripts that no language writes together (UTS #39)."""
    scripts = {_script(letter) for letter in text if letter.isalpha()}
    asian = scripts & _EAST_ASIAN
    return len(scripts - asian - ({"LATIN"} if asian else set())) + bool(asian) > 1


def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").partition(" ")[0]


def _in_ascii(name: str) -> str:
    return ".".join(
        part if part.isascii() else f"xn--{part.lower().encode('punycode').decode()}"
        for part in name.split(".")
    )
