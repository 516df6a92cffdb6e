"""PROTOCOL.md §7: rosters, commits, wraps, and how a member and a newcomer accept an epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

import stm_crypto as crypto
from stm_crypto import hkdf, sha256, verify
from stm_room import check_name, folded, keyed_room_id, read_cert, read_signed
from stm_wire import Fields, Refused, b16, decode, decode_padded, layout, require, u32, u64

COMMIT = layout(
    "suite u8{1-1} ‖ room bytes[16] ‖ epoch u64 ‖ prev bytes[32] ‖ run id bytes[16] ‖ kc bytes[32]"
    " ‖ rosterKc bytes[32] ‖ wraps rising32<tag bytes[16] ‖ wrap hash bytes[32]>"
    " ‖ roster box b32 ‖ signature bytes[64]"
)
CHANGE = layout(
    "reason u8{0-7} ‖ admin leaf u32 ‖ deputies list16<leaf u32> ‖ room name str{64}"
    " ‖ new secret u8{0-1} ‖ room secret bytes[32]"
    " ‖ added rising32<leaf u32 ‖ via u8{0-4} ‖ cert b16{348}>"
    " ‖ removed list32<leaf u32 ‖ reason u8{1-4} ‖ count u64 ‖ hash bytes[32]"
    " ‖ earlier rising16<epoch u64 ‖ count u64 ‖ hash bytes[32]>{4}>"
)
ROSTER = layout("room secret bytes[32] ‖ leaves rising32<leaf u32 ‖ via u8{0-4} ‖ cert b16{348}>")
WRAP = layout("epoch u64 ‖ wrap bytes[1520] ‖ ticket bytes[184]")
WRAP_PARTS = layout("ctR bytes[384] ‖ ctM bytes[1088] ‖ box bytes[48]")
WELCOME = layout(
    "commit b32 ‖ wrap bytes[1520] ‖ ticket bytes[184] ‖ room public key bytes[32] ‖ roster box b32"
)
KEM_UPDATE = layout(
    "room bytes[16] ‖ leaf u32 ‖ h bytes[32] ‖ ML-KEM key bytes[1184] ‖ signature bytes[64]"
)
KEM_ACK = layout(
    "room bytes[16] ‖ leaf u32 ‖ h bytes[32] ‖ SHA-256(ML-KEM key) bytes[32] ‖ signature bytes[64]"
)
CATCH_UP = layout("room bytes[16] ‖ leaf u32 ‖ epoch u64 ‖ h bytes[32] ‖ signature bytes[64]")

@dataclass(frozen=True)
class Leaf:
    """A leaf of the roster, with the fields of its CERT."""

    leaf: int
    via: int
    cert: bytes
    fields: Fields


def read_roster(leaves: list[Fields], room: bytes, admin: bytes) -> list[Leaf]:
    """Leaves as they are written, with their CERTs checked."""
    return [
        Leaf(leaf["leaf"], leaf["via"], leaf["cert"], read_cert(leaf["cert"], room, admin))
        for leaf in leaves
    ]


def roster_hash(roster: list[Leaf]) -> bytes:
    """rosterHash."""
    out = b"stm/1 roster" + u32(len(roster))
    for leaf in roster:
        out += u32(leaf.leaf) + bytes([leaf.via]) + leaf.fields["identity"] + sha256(leaf.cert)
    return sha256(out)


def check_roster(roster: list[Leaf]) -> None:
    """One leaf an identity, and names that differ."""
    count = len(roster)
    require(len({leaf.fields["identity"] for leaf in roster}) == count, "bad-commit", "identity")
    require(len({folded(leaf.fields["name"]) for leaf in roster}) == count, "bad-commit", "name")


def first_h(room: bytes, admin: bytes) -> bytes:
    """h(0)."""
    return sha256(b"stm/1 th0" + room + admin)


def next_h(commit: bytes) -> bytes:
    """h of the epoch that a commit makes; the commit begins with suite, room, epoch and prev."""
    prev = commit[25:57]
    return sha256(b"stm/1 th" + prev + commit[:-64])


def confirmation(s: bytes, room: bytes, epoch: int) -> bytes:
    """kc."""
    return hkdf(s, b"", b"stm/1 kc" + room + u64(epoch), 32)


def roster_confirmation(s: bytes, hash_of_roster: bytes) -> bytes:
    """rosterKc."""
    return hkdf(s, b"", b"stm/1 rkc" + hash_of_roster, 32)


def wrap_context(
    room: bytes, epoch: int, admin: bytes, identity: bytes, cert: bytes, kem_key: bytes
) -> tuple[bytes, bytes]:
    """ctx and tag of the wrap for a member."""
    who = admin + identity + sha256(cert) + b16(kem_key)
    ctx = sha256(b"stm/1 ctx" + b"\1" + room + u64(epoch) + who)
    return ctx, sha256(b"stm/1 tag" + ctx)[:16]


def open_wrap(ctx: bytes, wrap: bytes, rsa_key: RSAPrivateKey, s: bytes) -> Fields:
    """r, KEK and S of a wrap; s is the shared secret of its ctM."""
    parts = decode(WRAP_PARTS, wrap)
    r = crypto.oaep_open(rsa_key, ctx.hex().encode(), parts["ctR"])
    require(len(r) == 32, "open-failed", "r is not 32 bytes")
    kek = hkdf(r + s, sha256(parts["ctR"] + parts["ctM"]), b"stm/1 wrap" + ctx, 32)
    return {"r": r, "KEK": kek, "S": crypto.gcm_open(kek, crypto.NONCE_0, ctx, parts["box"])}


@dataclass
class Member:
    """What a participant of one room has: its keys, and where it is."""

    room: bytes
    admin: bytes
    identity: bytes
    cert: bytes
    rsa_key: RSAPrivateKey
    kem_keys: list[bytes]
    shared_secret: Callable[[bytes], bytes]
    epoch: int = 0
    h: bytes = b""
    roster: list[Leaf] = field(default_factory=list)
    next_leaf: int = 0


def read_commit(data: bytes, room: bytes, admin: bytes) -> Fields:
    """A commit's form, room and signature."""
    commit = decode(COMMIT, data)
    require(commit["room"] == room, "bad-commit", "another room")
    verify(admin, "commit", data[:-64], commit["signature"], "bad-commit")
    return commit


def open_commit(commit: Fields, me: Member, wrap: bytes) -> tuple[bytes, Fields]:
    """S and CHANGE of a commit, opened with one's own wrap."""
    epoch, listed = commit["epoch"], {w["tag"]: w["wrap hash"] for w in commit["wraps"]}
    contexts = [
        wrap_context(me.room, epoch, me.admin, me.identity, me.cert, key) for key in me.kem_keys
    ]
    mine = [(ctx, tag) for ctx, tag in contexts if tag in listed]
    require(mine != [], "removed", "none of our tags")
    ctx, tag = mine[0]
    require(sha256(wrap) == listed[tag], "no-wrap", "a wrap of another hash")
    try:
        s = open_wrap(ctx, wrap, me.rsa_key, me.shared_secret(wrap[384:1472]))["S"]
    except Refused as error:
        raise Refused("no-wrap", str(error)) from error
    require(confirmation(s, me.room, epoch) == commit["kc"], "bad-commit", "kc")
    key = hkdf(s, b"", b"stm/1 roster key" + me.room + u64(epoch), 32)
    change = decode_padded(
        CHANGE, crypto.gcm_open(key, crypto.NONCE_0, me.room, commit["roster box"])
    )
    check_name(change["room name"])
    secret_fits = change["new secret"] == 1 or not any(change["room secret"])
    require(secret_fits, "bad-commit", "a room secret that is not new")
    return s, change


def changed_roster(me: Member, change: Fields) -> list[Leaf]:
    """The roster after a CHANGE: first those removed, then those added."""
    there = {leaf.leaf for leaf in me.roster}
    removed = [item["leaf"] for item in change["removed"]]
    require(set(removed) <= there and len(set(removed)) == len(removed), "bad-commit", "removed")
    added = read_roster(change["added"], me.room, me.admin)
    above = all(leaf.leaf >= me.next_leaf for leaf in added)
    require(above, "bad-commit", "a leaf number used before")
    return [leaf for leaf in me.roster if leaf.leaf not in removed] + added


def check_result(me: Member, s: bytes, commit: Fields, change: Fields, roster: list[Leaf]) -> None:
    """What a roster must be after a commit: the admin's leaf, rosterKc."""
    check_roster(roster)
    admins = [leaf.leaf for leaf in roster if leaf.fields["identity"] == me.admin]
    require(admins == [change["admin leaf"]], "bad-commit", "the admin's leaf")
    right = roster_confirmation(s, roster_hash(roster)) == commit["rosterKc"]
    require(right, "bad-commit", "rosterKc")


def read_kem_update(data: bytes, session_key: bytes) -> Fields:
    """A KEM_UPDATE of the member with a session key."""
    update = read_signed(KEM_UPDATE, data, session_key, "kem")
    crypto.check_kem_key(update["ML-KEM key"])
    return update


def as_bad_commit(error: Refused) -> Refused:
    """The refusals of a commit's parts are all `bad-commit`, but for those with a meaning."""
    kept = ("removed", "no-wrap", "rollback", "fork")
    return error if error.code in kept else Refused("bad-commit", str(error))


def accept_commit(data: bytes, wrap: bytes, me: Member) -> tuple[bytes, Fields]:
    """A commit as a member accepts it: moves the member on, answers S and CHANGE."""
    commit = read_commit(data, me.room, me.admin)
    require(commit["epoch"] == me.epoch + 1, "rollback", "not the next epoch")
    require(commit["prev"] == me.h, "fork", "another prev")
    try:
        s, change = open_commit(commit, me, wrap)
        roster = changed_roster(me, change)
        check_result(me, s, commit, change, roster)
    except Refused as error:
        raise as_bad_commit(error) from error
    me.epoch, me.h, me.roster = commit["epoch"], next_h(data), roster
    me.next_leaf = max([me.next_leaf, *(leaf["leaf"] + 1 for leaf in change["added"])])
    return s, change


def open_welcome_roster(s: bytes, room: bytes, commit: bytes, box: bytes) -> Fields:
    """The ROSTER of a WELCOME."""
    epoch = decode(COMMIT, commit)["epoch"]
    key = hkdf(s, b"", b"stm/1 welcome key" + room + u64(epoch), 32)
    return decode_padded(ROSTER, crypto.gcm_open(key, crypto.NONCE_0, sha256(commit[:-64]), box))


def accept_welcome(welcome: Fields, me: Member, highest: int) -> tuple[bytes, Fields, Fields]:
    """A WELCOME as a newcomer accepts it: moves it on, answers S, CHANGE and ROSTER."""
    data = welcome["commit"]
    commit = read_commit(data, me.room, me.admin)
    require(commit["epoch"] > highest, "rollback", "an epoch that is behind us")
    try:
        s, change = open_commit(commit, me, welcome["wrap"])
        opened = open_welcome_roster(s, me.room, data, welcome["roster box"])
        roster = read_roster(opened["leaves"], me.room, me.admin)
        mine = [leaf for leaf in roster if leaf.cert == me.cert]
        require(len(mine) == 1, "bad-commit", "the leaf that is our own")
        check_result(me, s, commit, change, roster)
        right = keyed_room_id(welcome["room public key"]) == me.room
        require(right, "bad-commit", "another room key")
    except Refused as error:
        raise as_bad_commit(error) from error
    me.epoch, me.h, me.roster = commit["epoch"], next_h(data), roster
    me.next_leaf = max(leaf.leaf for leaf in roster) + 1
    return s, change, opened
