"""The MD4 message digest (RFC 1320), which OpenSSL no longer offers and Samba's password hash is made of."""

import struct

_MASK = 0xFFFFFFFF
# Per round: the order of the words, the shifts, the constant (RFC 1320, section 3.4)
_ROUNDS = (
    (tuple(range(16)), (3, 7, 11, 19), 0),
    ((0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), (3, 5, 9, 13), 0x5A827999),
    ((0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15), (3, 9, 11, 15), 0x6ED9EBA1),
)


def md4(message: bytes) -> bytes:
    """The digest of a message, 16 bytes. No protection against anybody: only for formats that ask for it."""
    padded = message + b"\x80" + b"\0" * (-(len(message) + 9) % 64) + struct.pack("<Q", len(message) * 8)
    state = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
    for at in range(0, len(padded), 64):
        words = struct.unpack("<16I", padded[at : at + 64])
        state = tuple((old + new) & _MASK for old, new in zip(state, _mixed(state, words), strict=True))  # type: ignore[assignment]
    return struct.pack("<4I", *state)


def _mixed(state: tuple[int, ...], words: tuple[int, ...]) -> tuple[int, ...]:
    a, b, c, d = state
    for number, (order, shifts, constant) in enumerate(_ROUNDS):
        for step, word in enumerate(order):
            mix = (
                (b & c) | (~b & d),
                (b & c) | (b & d) | (c & d),
                b ^ c ^ d,
            )[number]
            total = (a + mix + words[word] + constant) & _MASK
            shift = shifts[step % 4]
            a, b, c, d = d, ((total << shift) | (total >> (32 - shift))) & _MASK, b, c
    return a, b, c, d
