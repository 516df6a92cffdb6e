"""The operations that PROTOCOL.md's vectors (§10) name: each takes a vector's input and answers
what its output has to be, or is refused."""

from __future__ import annotations

from typing import Any

import stm_crypto as crypto
import stm_epochs as epochs
import stm_messages as messages
import stm_room as room
from stm_wire import Fields, decode, encode


class Input:
    """The input of a vector: byte strings are in hex."""

    def __init__(self, values: Fields) -> None:
        self.values = values

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def bytes(self, name: str) -> bytes:
        """A byte string."""
        return bytes.fromhex(self.values[name])


def only(fields: Fields, *names: str) -> Fields:
    """Some of the fields of a structure."""
    return {name: fields[name] for name in names}


def unsigned(fields: Fields, *also: str) -> Fields:
    """The fields of a structure without its signature and some others."""
    return {name: value for name, value in fields.items() if name not in ("signature", *also)}


def shown_roster(roster: list[epochs.Leaf]) -> list[Fields]:
    """A roster as the vectors show it."""
    return [
        {
            "leaf": leaf.leaf,
            "via": leaf.via,
            **only(leaf.fields, "name", "identity", "session key"),
            "SHA-256(cert)": crypto.sha256(leaf.cert),
        }
        for leaf in roster
    ]


# §3 and §4


def fingerprint_of_a_key(given: Input) -> Fields:
    """§4."""
    print_ = room.fingerprint(given.bytes("Ed25519 key"))
    digits = print_.hex()
    groups = [digits[i : i + 4] for i in range(0, 32, 4)]
    return {"fingerprint": print_, "as shown": " ".join(groups)}


def id_of_a_keyed_room(given: Input) -> Fields:
    """§3.1."""
    return {"room id": room.keyed_room_id(given.bytes("room public key"))}


def open_room(given: Input) -> Fields:
    """§3.1 and §4."""
    id_ = room.open_room_id(given.bytes("relay key"), given["room name"])
    return {"room id": id_, "room secret": room.open_room_secret(given.bytes("relay key"), id_)}


def invite(given: Input) -> Fields:
    """§4."""
    secret = given.bytes("invite secret")
    return {"invite id": room.invite_id(secret), "invite MAC key": room.invite_mac_key(secret)}


def read_a_link(given: Input) -> Fields:
    """§4."""
    return room.read_link(given["link"])


def accept_key_changes(given: Input) -> Fields:
    """§2.1."""
    keys = room.follow_key_changes(
        given.bytes("KEY_CHANGES"),
        given.bytes("pinned relay key"),
        given["now, seconds since 1970"],
    )
    return {"relay keys": keys}


def verify_a_ticket(given: Input) -> Fields:
    """§3.1."""
    ticket = room.read_ticket(
        given.bytes("ticket"),
        given.bytes("room id"),
        given.bytes("room public key"),
        given["now, seconds since 1970"],
        given["lowest ticket epoch"],
    )
    return only(ticket, "ticket epoch", "expires", "gate key")


def verify_an_enter(given: Input) -> Fields:
    """§3.2."""
    where = given.bytes("nonce") + given.bytes("relay key") + given.bytes("room id")
    body = where + bytes([given["role"]])
    crypto.verify(given.bytes("key"), "enter", body, given.bytes("signature"), "bad-credential")
    return {"signed body": body}


# §5


def unmask_a_header(given: Input) -> Fields:
    """§5."""
    secret, id_ = given.bytes("room secret"), given.bytes("room id")
    fields = room.unmask(given.bytes("masked header"), given.bytes("body"), secret, id_)
    header = encode(room.HEADER, fields)
    key = room.header_key(secret, id_)
    return {"HK": key, "header": header, **only(fields, "kind", "epoch", "leaf", "n")}


def open_a_sealed_body(given: Input) -> Fields:
    """§5."""
    fields = room.open_sealed(
        given.bytes("body"),
        given.bytes("room secret"),
        given.bytes("room id"),
        given["direction"],
    )
    kind = fields["type"]
    if kind not in room.SEALED_TYPES:
        return {"type": kind, "critical": kind >= 0x80}
    return {"type": kind, "type name": room.SEALED_TYPES[kind][0]}


# §6


def verify_a_hello(given: Input) -> Fields:
    """§6."""
    hello = room.read_hello(
        given.bytes("hello"), given.bytes("room id"), given.bytes("admin fingerprint")
    )
    return unsigned(hello, "room")


def verify_a_cert(given: Input) -> Fields:
    """§6."""
    data = given.bytes("cert")
    cert = room.read_cert(data, given.bytes("room id"), given.bytes("admin identity"))
    shown = unsigned(cert, "room", "admin identity")
    return {**shown, "SHA-256(cert)": crypto.sha256(data)}


def open_a_bundle(given: Input) -> Fields:
    """§6."""
    bundle = room.open_bundle(
        given.bytes("bundle"),
        given.bytes("room id"),
        given.bytes("admin identity"),
        given.bytes("ML-KEM shared secret s"),
        given["highest g accepted from this identity, -1 for none"],
        given.bytes("invite secret"),
    )
    cert = bundle.pop("fields")
    return {**bundle, **only(cert, "name", "g")}


def verify_a_denied(given: Input) -> Fields:
    """§6."""
    denied = decode(room.DENIED, given.bytes("denied"))
    body = given.bytes("room id") + given.bytes("na") + bytes([denied["code"]])
    crypto.verify(given.bytes("admin identity"), "deny", body, denied["signature"])
    return {"code": room.DENIED_CODES[denied["code"] - 1]}


# §7


def given_roster(given: Input, name: str) -> list[epochs.Leaf]:
    """A roster in an input, its CERTs in hex."""
    leaves = [{**leaf, "cert": bytes.fromhex(leaf["cert"])} for leaf in given[name]]
    return epochs.read_roster(leaves, given.bytes("room id"), given.bytes("admin identity"))


def hash_of_a_roster(given: Input) -> Fields:
    """§7."""
    return {"rosterHash": epochs.roster_hash(given_roster(given, "roster"))}


def confirmations(given: Input) -> Fields:
    """§7."""
    s = given.bytes("S")
    kc = epochs.confirmation(s, given.bytes("room id"), given["epoch"])
    return {"kc": kc, "rosterKc": epochs.roster_confirmation(s, given.bytes("rosterHash"))}


def context_of_a_wrap(given: Input) -> Fields:
    """§7."""
    ctx, tag = epochs.wrap_context(
        given.bytes("room id"),
        given["epoch"],
        given.bytes("admin identity"),
        given.bytes("identity"),
        given.bytes("cert"),
        given.bytes("ML-KEM key"),
    )
    return {"ctx": ctx, "tag": tag}


def open_a_wrap(given: Input) -> Fields:
    """§7."""
    key = crypto.load_rsa_key(given.bytes("RSA private key, PKCS #8"))
    s = given.bytes("ML-KEM shared secret s")
    return epochs.open_wrap(given.bytes("ctx"), given.bytes("wrap"), key, s)


def given_member(given: Input) -> epochs.Member:
    """The member or newcomer of an input."""
    return epochs.Member(
        given.bytes("room id"),
        given.bytes("admin identity"),
        given.bytes("own identity"),
        given.bytes("own cert"),
        crypto.load_rsa_key(given.bytes("own RSA private key, PKCS #8")),
        [given.bytes("own ML-KEM key")],
        lambda _: given.bytes("ML-KEM shared secret s of the wrap"),
    )


def accept_a_commit(given: Input) -> Fields:
    """§7."""
    me = given_member(given)
    me.epoch, me.h = given["own epoch"], given.bytes("own h")
    me.roster = given_roster(given, "own roster")
    me.next_leaf = given["first leaf number never used"]
    s, change = epochs.accept_commit(given.bytes("commit"), given.bytes("wrap"), me)
    change["deputies"] = [item["leaf"] for item in change["deputies"]]
    roster = {"rosterHash": epochs.roster_hash(me.roster), "roster": shown_roster(me.roster)}
    return {"h": me.h, "S": s, **roster, "change": change}


def accept_a_welcome(given: Input) -> Fields:
    """§7."""
    me = given_member(given)
    names = ("commit", "wrap", "room public key", "roster box")
    welcome = {name: given.bytes(name) for name in names}
    highest = given["highest epoch remembered for this room"]
    s, change, opened = epochs.accept_welcome(welcome, me, highest)
    return {
        "h": me.h,
        "S": s,
        "room secret": opened["room secret"],
        "own leaf": next(leaf.leaf for leaf in me.roster if leaf.cert == me.cert),
        "admin leaf": change["admin leaf"],
        "rosterHash": epochs.roster_hash(me.roster),
        "roster": shown_roster(me.roster),
    }


def verify_a_kem_update(given: Input) -> Fields:
    """§7."""
    update = epochs.read_kem_update(given.bytes("kem update"), given.bytes("session key"))
    return unsigned(update, "room")


def verify_a_kem_ack(given: Input) -> Fields:
    """§7."""
    of, key = epochs.KEM_ACK, given.bytes("admin identity")
    return unsigned(room.read_signed(of, given.bytes("kem ack"), key, "kem-ack"), "room")


def verify_a_catch_up(given: Input) -> Fields:
    """§7."""
    of, key = epochs.CATCH_UP, given.bytes("session key")
    return unsigned(room.read_signed(of, given.bytes("catch up"), key, "catch-up"), "room")


# §8


def keys_of_an_epoch(given: Input) -> Fields:
    """§8."""
    es = messages.epoch_secret(given.bytes("S"), given.bytes("h"))
    chains = []
    for leaf in (item["leaf"] for item in given["leaves"]):
        chain = messages.Chain.of(es, given.bytes("h"), leaf)
        first, keys = chain.chain_key, []
        for n in range(4):
            key, nonce = chain.step()
            keys.append({"n": n, "key": key, "nonce": nonce})
        chains.append({"leaf": leaf, "CK(leaf, 0)": first, "messages": keys})
    return {"ES": es, "chains": chains}


def open_a_message(given: Input) -> Fields:
    """§8."""
    epoch, leaf, n = given["epoch"], given["leaf"], given["n"]
    numbers = {"epoch": epoch, "leaf": leaf, "n": n}
    header = encode(room.HEADER, {"kind": 1, "zero": bytes(3), **numbers})
    aad = messages.message_aad(given.bytes("room id"), given.bytes("h"), epoch, leaf, n)
    keys = messages.Chain(given.bytes("CK(leaf, 0)")).at(n)
    session_key, body = given.bytes("session key"), given.bytes("body")
    plaintext, fields = messages.open_message(keys, aad, session_key, body)
    return {
        "key": keys[0],
        "nonce": keys[1],
        "AAD": aad,
        "plaintext": plaintext,
        **fields,
        "header in the clear": header,
        "SHA-256(header ‖ body)": crypto.sha256(header + body),
        "message": messages.read_content(fields["type"], fields["content"]),
    }


def rolling_hash(given: Input) -> Fields:
    """§8."""
    hashes = [bytes(32)]
    for message in given["messages"]:
        item = Input(message)
        header, body = item.bytes("header in the clear"), item.bytes("body")
        hashes.append(messages.rolling(hashes[-1], header, body))
    return {"H(0), H(1), …": hashes}


def read_a_content(given: Input) -> Fields:
    """§8."""
    return {"message": messages.read_content(given["type"], given.bytes("content"))}


def digest_of_a_heartbeat(given: Input) -> Fields:
    """§8."""
    leaves = [
        (item["leaf"], item["count"], bytes.fromhex(item["hash"])) for item in given["leaves"]
    ]
    return {"digest": messages.digest(leaves)}


def safety_code(given: Input) -> Fields:
    """§8."""
    return {"words": messages.safety_code(given.bytes("ES"), given.bytes("rosterHash"))}


OPERATIONS = {
    "fingerprint of a key": fingerprint_of_a_key,
    "room id of a keyed room": id_of_a_keyed_room,
    "room id and secret of an open room": open_room,
    "invite id and MAC key": invite,
    "read a link": read_a_link,
    "accept KEY_CHANGES": accept_key_changes,
    "verify a TICKET": verify_a_ticket,
    "verify an ENTER": verify_an_enter,
    "unmask a header": unmask_a_header,
    "open a sealed body": open_a_sealed_body,
    "verify a HELLO": verify_a_hello,
    "verify a CERT": verify_a_cert,
    "open a BUNDLE": open_a_bundle,
    "verify a DENIED": verify_a_denied,
    "roster hash": hash_of_a_roster,
    "confirmations of an epoch": confirmations,
    "context and tag of a wrap": context_of_a_wrap,
    "open a wrap": open_a_wrap,
    "accept a COMMIT": accept_a_commit,
    "accept a WELCOME": accept_a_welcome,
    "verify a KEM_UPDATE": verify_a_kem_update,
    "verify a KEM_ACK": verify_a_kem_ack,
    "verify a CATCH_UP": verify_a_catch_up,
    "keys of an epoch": keys_of_an_epoch,
    "open a message": open_a_message,
    "rolling hash": rolling_hash,
    "read a message's content": read_a_content,
    "digest of a HEARTBEAT": digest_of_a_heartbeat,
    "safety code": safety_code,
}
