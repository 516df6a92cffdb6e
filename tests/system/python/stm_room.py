"""PROTOCOL.md §3.1, §4, §5 and §6: rooms, tickets, links, payloads and joining.

A function that reads what a peer wrote raises Refused where the page says that it is refused.
"""

from __future__ import annotations

import base64
import re
import unicodedata

import stm_crypto as crypto
from stm_crypto import hkdf, sha256, verify
from stm_wire import Fields, Layout, Refused, b16, decode, decode_padded, layout, require

MAX_TICKET_LIFE_S = 86400
TICKET_CLOCK_SKEW_S = 600

TICKET = layout(
    "room bytes[16] ‖ ticket epoch u64 ‖ expires u64 ‖ gate key bytes[32]"
    " ‖ reserved bytes[56] zero ‖ signature bytes[64]"
)
KEY_CHANGE = layout(
    "old relay key bytes[32] ‖ new relay key bytes[32] ‖ from u64 ‖ until u64 ‖ signature bytes[64]"
)
SERVER_LINK = layout("version u8{1-1} ‖ kind u8{0-0} ‖ relay key bytes[32]")
INVITE = layout(
    "version u8{1-1} ‖ kind u8{1-1} ‖ relay key bytes[32] ‖ room id bytes[16]"
    " ‖ admin fingerprint bytes[16] ‖ room secret bytes[32] ‖ invite secret bytes[16]"
)
HEADER = layout("kind u8{1-2} ‖ zero bytes[3] zero ‖ epoch u64 ‖ leaf u32 ‖ n u64")
SEALED = layout("salt bytes[32] ‖ box rest")
SEALED_PLAINTEXT = layout("type u8 ‖ content b32")
KNOCK = layout("min version u8 ‖ max version u8")
HELLO = layout(
    "min version u8 ‖ max version u8 ‖ room bytes[16] ‖ admin identity bytes[32]"
    " ‖ run id bytes[16] ‖ na bytes[32] ‖ one-use ML-KEM key bytes[1184] ‖ signature bytes[64]"
)
BUNDLE = layout("na bytes[32] ‖ ML-KEM ciphertext bytes[1088] ‖ box b32{2014}")
BUNDLE_INNER = layout(
    "cert b16{348} ‖ RSA SPKI b16{422} ‖ ML-KEM key bytes[1184]"
    " ‖ invite id bytes[8] ‖ mac bytes[32]"
)
CERT = layout(
    "min version u8 ‖ max version u8 ‖ room bytes[16] ‖ admin identity bytes[32] ‖ na bytes[32]"
    " ‖ identity bytes[32] ‖ g u64 ‖ session key bytes[32] ‖ gate key bytes[32]"
    " ‖ wrap hash bytes[32] ‖ name str{64} ‖ signature bytes[64]"
)
DENIED = layout("code u8{1-7} ‖ signature bytes[64]")
DENIED_CODES = (
    "denied invite-invalid barred name-taken room-full bad-request unsupported".split()
)
# §5: the sealed types with their directions: 0 to the admin, 1 from the admin, 2 between members.
SEALED_TYPES = {
    0x01: ("KNOCK", 0),
    0x02: ("HELLO", 1),
    0x03: ("BUNDLE", 0),
    0x04: ("PENDING", 1),
    0x05: ("DENIED", 1),
    0x06: ("WELCOME", 1),
    0x07: ("COMMIT", 1),
    0x08: ("WRAP", 1),
    0x09: ("KEM_UPDATE", 0),
    0x0A: ("KEM_ACK", 1),
    0x0B: ("CATCH_UP", 0),
    0x0C: ("CAUGHT_UP", 1),
    0x0D: ("REPAIR_REQUEST", 2),
    0x0E: ("REPAIR", 2),
    0x0F: ("SUCCESSION", 2),
    0x10: ("GRANT", 1),
    0x11: ("KEYS", 2),
    0x12: ("VIEW_REQUEST", 2),
    0x13: ("VIEW", 2),
    0x14: ("OWNER_ASK", 2),
    0x15: ("OWNER_HERE", 1),
}


# §3.1 and §4


def keyed_room_id(room_key: bytes) -> bytes:
    """The id of a keyed room."""
    digest = sha256(room_key)
    return bytes([digest[0] & 0x7F]) + digest[1:16]


def open_room_id(relay_key: bytes, name: str) -> bytes:
    """The id of an open room."""
    name = unicodedata.normalize("NFKC", name)
    digest = sha256(b"stm/1 open room" + relay_key + b16(name.encode()))
    return bytes([digest[0] | 0x80]) + digest[1:16]


def open_room_secret(relay_key: bytes, room: bytes) -> bytes:
    """The room secret of an open room, which everybody can compute."""
    return hkdf(relay_key + room, b"", b"stm/1 open secret", 32)


def fingerprint(key: bytes) -> bytes:
    """The fingerprint of an Ed25519 key."""
    return sha256(b"stm/1 fp" + key)[:16]


def invite_id(secret: bytes) -> bytes:
    """The id of the invite with a secret."""
    return hkdf(secret, b"", b"stm/1 inv id", 8)


def invite_mac_key(secret: bytes) -> bytes:
    """The MAC key of the invite with a secret."""
    return hkdf(secret, b"", b"stm/1 inv mac", 32)


def read_link(link: str) -> Fields:
    """A server link or an invite; the fields of its DATA, with host and port."""
    found = re.fullmatch(r"stm://((?:\[[0-9A-Fa-f:.]+\]|[^/:#\[\]]+)):([1-9]\d{0,4})/?#(.*)", link)
    require(found is not None and int(found[2]) <= 65535, "not-a-link", link)
    host, port, data = found.groups()
    require(re.fullmatch(r"[A-Za-z0-9_-]*", data) is not None, "damaged", "not base64url")
    try:
        raw = base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))
    except ValueError as error:
        raise Refused("damaged", "not base64url") from error
    again = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    require(again == data, "damaged", "stray bits")
    body, check = raw[:-4], raw[-4:]
    address = f"{host}:{port}".lower().encode()
    require(sha256(b"stm/1 link" + b16(address) + body)[:4] == check, "damaged", "check")
    fields = decode(INVITE if body[1:2] == b"\1" else SERVER_LINK, body)
    del fields["version"]
    return {**fields, "host": host.lower(), "port": int(port)}


def follow_key_changes(data: bytes, pin: bytes, now: int) -> list[bytes]:
    """§2.1: the relay keys after the pinned one."""
    count = int.from_bytes(data[:2], "big")
    require(len(data) == 2 + 144 * count and count <= 8, "leftover", "statements")
    chain = [decode(KEY_CHANGE, data[2 + 144 * i : 146 + 144 * i]) for i in range(count)]
    keys = [change["old relay key"] for change in chain[:1]]
    for change in chain:
        torn = change["old relay key"] != keys[-1] or change["new relay key"] in keys
        require(not torn and change["until"] >= change["from"], "no-chain", "")
        keys.append(change["new relay key"])
    require(pin in keys, "other-relay", "")
    at = keys.index(pin)
    for i, change in enumerate(chain[at:], at):
        body = data[2 + 144 * i : 82 + 144 * i]
        verify(change["old relay key"], "key-change", body, change["signature"])
        require(change["until"] >= now, "expired", "")
    return keys[at + 1 :]


def read_ticket(data: bytes, room: bytes, room_key: bytes, now: int, lowest: int) -> Fields:
    """A ticket as the relay checks it."""
    ticket = decode(TICKET, data)
    code = "bad-credential"
    require(keyed_room_id(room_key) == room, code, "another room key")
    require(ticket["room"] == room, code, "another room")
    require(ticket["expires"] > now, "ticket-expired", "")
    too_long = ticket["expires"] > now + MAX_TICKET_LIFE_S + TICKET_CLOCK_SKEW_S
    require(not too_long, code, "good for too long")
    require(ticket["ticket epoch"] >= lowest, "ticket-revoked", "")
    verify(room_key, "ticket", data[:120], ticket["signature"], code)
    return ticket


# §5


def header_key(room_secret: bytes, room: bytes) -> bytes:
    """HK, which masks the headers of a room."""
    return hkdf(room_secret, b"", b"stm/1 header" + room, 32)


def unmask(masked: bytes, body: bytes, room_secret: bytes, room: bytes) -> Fields:
    """The fields of a masked header; a header that is not one is passed over."""
    header = crypto.ctr(header_key(room_secret, room), body[:16], masked)
    try:
        require(len(body) >= 32, "passed over", "a short body")
        fields = decode(HEADER, header)
        sealed = fields["kind"] == 2
        require(not (sealed and any(header[1:])), "passed over", "a sealed body's numbers")
    except Refused as error:
        raise Refused("passed over", str(error)) from error
    return fields


def outer_key(room_secret: bytes, salt: bytes, direction: int) -> bytes:
    """The key of a sealed body."""
    return hkdf(room_secret, salt, b"stm/1 outer" + bytes([direction]), 32)


def open_sealed(body: bytes, room_secret: bytes, room: bytes, direction: int) -> Fields:
    """Type and content of a sealed body of a direction."""
    sealed = decode(SEALED, body)
    key = outer_key(room_secret, sealed["salt"], direction)
    fields = decode_padded(
        SEALED_PLAINTEXT, crypto.gcm_open(key, crypto.NONCE_0, room, sealed["box"])
    )
    _, right = SEALED_TYPES.get(fields["type"], ("", direction))
    require(right == direction, "bad-value", "a type in another direction")
    return fields


# §6


def check_name(name: str) -> None:
    """The rule for names of persons and rooms."""
    marks = any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in name)
    require(
        0 < len(name.encode()) <= 64
        and unicodedata.is_normalized("NFKC", name)
        and name.strip() == name
        and not marks,
        "bad-value",
        "a name that is not allowed",
    )


def folded(name: str) -> str:
    """What must differ between the names of one room."""
    bare = "".join(
        c for c in unicodedata.normalize("NFKD", name) if unicodedata.category(c)[0] != "M"
    )
    return unicodedata.normalize("NFKC", bare.upper().lower())


def read_signed(of: Layout, data: bytes, key: bytes, kind: str) -> Fields:
    """A structure that ends in a signature of all before it."""
    fields = decode(of, data)
    verify(key, kind, data[:-64], fields["signature"])
    return fields


def read_hello(data: bytes, room: bytes, admin_fingerprint: bytes) -> Fields:
    """A HELLO as the joiner checks it."""
    hello = decode(HELLO, data)
    require(hello["room"] == room, "bad-structure", "another room")
    right = fingerprint(hello["admin identity"]) == admin_fingerprint
    require(right, "bad-structure", "another admin")
    verify(hello["admin identity"], "hello", data[:-64], hello["signature"])
    crypto.check_kem_key(hello["one-use ML-KEM key"])
    return hello


def read_cert(data: bytes, room: bytes, admin: bytes) -> Fields:
    """A CERT for a room and an admin."""
    cert = decode(CERT, data)
    check_name(cert["name"])
    require(cert["room"] == room, "bad-structure", "another room")
    require(cert["admin identity"] == admin, "bad-structure", "another admin")
    verify(cert["identity"], "cert", data[:-64], cert["signature"])
    crypto.check_ed25519_key(cert["session key"])
    return cert


def wrap_hash(spki: bytes, kem_key: bytes) -> bytes:
    """The wrap hash of a CERT."""
    return sha256(b"stm/1 wrap keys" + b16(spki) + kem_key)


def open_bundle(
    data: bytes, room: bytes, admin: bytes, s: bytes, highest_g: int, invite_secret: bytes
) -> Fields:
    """A BUNDLE as the admin checks it, its na apart; the fields of all that is in it."""
    bundle = decode(BUNDLE, data)
    na, ciphertext = bundle["na"], bundle["ML-KEM ciphertext"]
    key = hkdf(s, sha256(ciphertext), b"stm/1 bundle" + room + na, 32)
    inner = decode(BUNDLE_INNER, crypto.gcm_open(key, crypto.NONCE_0, room, bundle["box"]))
    cert = read_cert(inner["cert"], room, admin)
    require(cert["na"] == na, "bad-structure", "another na")
    keys = wrap_hash(inner["RSA SPKI"], inner["ML-KEM key"])
    require(cert["wrap hash"] == keys, "bad-structure", "wrap hash")
    crypto.check_spki(inner["RSA SPKI"])
    crypto.check_kem_key(inner["ML-KEM key"])
    require(cert["g"] > highest_g, "bad-structure", "a g that was accepted before")
    if any(inner["invite id"]):
        mac = crypto.hmac(invite_mac_key(invite_secret), b"stm/1 inv" + inner["cert"])
        right = inner["invite id"] == invite_id(invite_secret) and inner["mac"] == mac
        require(right, "open-failed", "the MAC of an invite")
    return {**inner, "na": na, "key of the box": key, "fields": cert}
