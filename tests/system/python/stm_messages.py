"""PROTOCOL.md §8: the keys of an epoch, messages, rolling hashes and the safety code."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import stm_crypto as crypto
from stm_crypto import hkdf, sha256, verify
from stm_wire import Fields, decode, decode_padded, encode, layout, pad, require, same, text
from stm_wire import u32, u64

MAX_AHEAD = 65536
MAX_TEXT_BYTES = 65536
# Of english.txt as BIP-39 publishes it: 2048 lines, each ended by a line feed.
ENGLISH_SHA256 = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"

MESSAGE = layout("type u8 ‖ content b32 ‖ signature bytes[64]")

# §8: the types of messages with their contents.
MESSAGE_TYPES = {
    0x81: ("TEXT", layout("id bytes[16] ‖ sent at u64 ‖ text rest")),
    0x82: ("CLOSE", layout("epoch u64 ‖ count u64 ‖ hash bytes[32]")),
    0x03: ("HEARTBEAT", layout("count u64 ‖ hash bytes[32] ‖ digest bytes[32]")),
    0x84: ("LEAVE", ()),
}


def epoch_secret(s: bytes, h: bytes) -> bytes:
    """ES."""
    return hkdf(s, h, b"stm/1 epoch", 32)


@lru_cache
def english_words() -> list[str]:
    """The English list of BIP-39."""
    data = Path(__file__).with_name("bip39_english.txt").read_bytes()
    same(ENGLISH_SHA256, sha256(data).hex(), "SHA-256 of the word list")
    return data.decode("ascii").split()


def safety_code(es: bytes, hash_of_roster: bytes) -> str:
    """The twelve words of an epoch."""
    words = english_words()
    code = hkdf(es, b"", b"stm/1 auth" + hash_of_roster, 17)
    bits = int.from_bytes(code, "big") >> 4
    return " ".join(words[(bits >> 11 * (11 - i)) & 0x7FF] for i in range(12))


class Chain:
    """The keys of one leaf in one epoch."""

    def __init__(self, chain_key: bytes) -> None:
        self.chain_key = chain_key
        self.n = 0

    @staticmethod
    def of(es: bytes, h: bytes, leaf: int) -> "Chain":
        """CK(i, 0)."""
        return Chain(hkdf(es, b"", b"stm/1 sender" + h + u32(leaf), 32))

    def step(self) -> tuple[bytes, bytes]:
        """Key and nonce of the next message."""
        out = hkdf(self.chain_key, b"", b"stm/1 msg" + u64(self.n), 76)
        self.chain_key = out[44:]
        self.n += 1
        return out[:32], out[32:44]

    def at(self, n: int) -> tuple[bytes, bytes]:
        """Key and nonce of the message n; those between are lost."""
        require(n < self.n + MAX_AHEAD, "too-far", str(n))
        while self.n < n:
            self.step()
        return self.step()


def message_aad(room: bytes, h: bytes, epoch: int, leaf: int, n: int) -> bytes:
    """AAD."""
    return b"stm/1 aad" + room + h + u64(epoch) + u32(leaf) + u64(n)


def open_message(
    keys: tuple[bytes, bytes], aad: bytes, session_key: bytes, body: bytes
) -> tuple[bytes, Fields]:
    """Plaintext and fields of a message."""
    plaintext = crypto.gcm_open(*keys, aad, body)
    fields = decode_padded(MESSAGE, plaintext)
    signed = aad + bytes([fields["type"]]) + fields["content"]
    verify(session_key, "msg", signed, fields["signature"])
    return plaintext, fields


def seal_message(
    keys: tuple[bytes, bytes], aad: bytes, session_seed: bytes, kind: int, content: bytes
) -> bytes:
    """The body of a message; it has one form, so it can be made again."""
    signature = crypto.sign(session_seed, "msg", aad + bytes([kind]) + content)
    fields = {"type": kind, "content": content, "signature": signature}
    return crypto.gcm_seal(*keys, aad, pad(encode(MESSAGE, fields)))


def read_content(kind: int, content: bytes) -> Fields:
    """What is in a message."""
    if kind not in MESSAGE_TYPES:
        return {"name": "unknown", "type": kind, "critical": kind >= 0x80}
    name, of = MESSAGE_TYPES[kind]
    fields = decode(of, content)
    if name == "TEXT":
        require(len(fields["text"]) <= MAX_TEXT_BYTES, "bad-value", "a long text")
        fields["text"] = text(fields["text"])
    return {"name": name, **fields}


def rolling(h: bytes, header: bytes, body: bytes) -> bytes:
    """H(n+1) of H(n)."""
    return sha256(h + sha256(header + body))


def digest(leaves: list[tuple[int, int, bytes]]) -> bytes:
    """The digest of a HEARTBEAT, of leaf, count and hash of each leaf."""
    parts = (u32(leaf) + u64(count) + h for leaf, count, h in sorted(leaves))
    return sha256(b"stm/1 digest" + b"".join(parts))
