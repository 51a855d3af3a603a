"""Reads smb.conf as its man page and Samba's sources say, written without a look at our writer."""

import os
import re

# smb.conf(5), VARIABLE SUBSTITUTIONS; %m is empty where shares are listed, everything else is something
VALUES = {letter: f"<{letter}>" for letter in "UGDIiJjLMRTatdhvVw"} | {"m": ""}
ADVANCED = {letter: f"<{letter}>" for letter in "NHSgup"} | {"P": ""}


def sections(text: str) -> list[tuple[str, dict[str, str]]]:
    """The sections in their order, each with its parameters; AssertionError for what smb.conf does not have."""
    found: list[tuple[str, dict[str, str]]] = []
    for line in re.sub(r"\\\n", "", text).split("\n"):
        plain = " ".join(line.split(" ")).strip(" \t\r\v\f")
        if not plain or plain[0] in "#;":
            continue
        if plain[0] == "[":
            name, end, rest = plain[1:].partition("]")
            assert end, line
            assert not rest, line
            found.append((_spaces(name), {}))
            continue
        key, equals, value = plain.partition("=")
        assert equals, line
        key = _spaces(key).lower()
        assert key not in found[-1][1], line
        found[-1][1][key] = _spaces(value)
    return found


def shown_comment(value: str) -> str:
    """What a list of shares says for a comment: replaced, quotation marks off, replaced again (srv_srvsvc_nt.c)."""
    once = _replaced(value, VALUES)
    bare = once.strip('"')
    if bare != once and '"' in bare:
        bare = once
    return _replaced(_replaced(bare, ADVANCED), VALUES)


def served_path(value: str) -> str:
    """Which folder a path is (smb2_service.c)."""
    once = _replaced(value, VALUES)
    bare = once.strip('"')
    if bare != once and '"' in bare:
        bare = once
    return os.path.normpath(_replaced(_replaced(bare, ADVANCED), VALUES))


def _spaces(text: str) -> str:
    return re.sub(r"[ \t\r\v\f]+", " ", text).strip(" ")


def _replaced(text: str, values: dict[str, str]) -> str:
    """Each % and letter, from the left; all of that letter at once, and none that stands before (substitute.c)."""
    at = text.find("%")
    while at >= 0:
        letter = text[at + 1 : at + 2]
        if letter in values and letter:
            text = text.replace(f"%{letter}", values[letter])
        at = text.find("%", at + 1)
    return text
