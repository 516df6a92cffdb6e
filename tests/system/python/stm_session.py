"""PROTOCOL.md §2 to §8 at work: session.json, a room as its relay saw it, read with ada's keys."""

from __future__ import annotations

from typing import Protocol

import stm_crypto as crypto
import stm_epochs as epochs
import stm_messages as messages
import stm_room as room
from stm_epochs import Member
from stm_gate import MAX_GUEST_FRAME_BYTES, OWNER_CREDENTIAL, ROLES, read_frame
from stm_messages import Chain
from stm_operations import shown_roster
from stm_wire import Fields, Refused, decode, encode, require, same, shown

# §5, §8: what goes to everybody; the rest is DIRECT.
BROADCAST_NAMES = {"COMMIT", *(name for name, _ in messages.MESSAGE_TYPES.values())}


class Log(Protocol):
    """Where the outcome goes."""

    opened: int

    def fault(self, vector: str, what: str) -> None:
        """Notes a difference."""


class Connection:
    """What the relay and one participant said to each other."""

    def __init__(self) -> None:
        self.nonce = b""
        self.handle = b""
        self.role = 0
        self.na = b""
        self.bundle: Fields = {}


class Session:
    """A room as ada and the relay see it together."""

    def __init__(self, content: Fields) -> None:
        self.content = content
        self.room = bytes.fromhex(content["room id"])
        self.room_key = bytes.fromhex(content["room public key"])
        self.admin = bytes.fromhex(content["admin identity"])
        self.relay_key = bytes.fromhex(content["relay key"])
        self.ada = content["ada"]
        self.secrets = {
            bytes.fromhex(item["ML-KEM ciphertext"]): bytes.fromhex(item["ML-KEM shared secret s"])
            for item in content["ML-KEM shared secrets"]
        }
        self.invites = {name: room.read_link(link) for name, link in content["invites"].items()}
        self.room_secrets = [self.invites["ada"]["room secret"]]
        self.connections: dict[str, Connection] = {}
        self.sent: dict[bytes, str] = {}
        self.me: Member | None = None
        self.sessions: dict[int, bytes] = {}
        self.chains: dict[tuple[int, int], Chain] = {}
        self.hashes: dict[tuple[int, int], bytes] = {}
        self.h = epochs.first_h(self.room, self.admin)
        self.commits: dict[int, bytes] = {}
        self.wraps: dict[str, bytes] = {}
        self.welcomes: list[tuple[str, Fields]] = []
        self.epochs: list[Fields] = []
        self.seen: list[Fields] = []
        self.read: dict[bytes, Fields] = {}

    def check_start(self) -> None:
        """§3.1, §4: the keys and links that the session was made with."""
        same(room.keyed_room_id(self.room_key), self.room, "room id")
        for link in self.invites.values():
            same(self.relay_key, link["relay key"], "relay key of an invite")
            same(self.room, link["room id"], "room of an invite")
            same(room.fingerprint(self.admin), link["admin fingerprint"], "admin of an invite")
            same(self.room_secrets[0], link["room secret"], "room secret of an invite")
        same(self.room_secrets[0], self.own("room secret of the invite"), "ada's room secret")
        same(crypto.public_key(self.own("identity seed")), self.own("identity"), "ada's identity")
        session_key = crypto.public_key(self.own("session key seed"))
        same(session_key, self.own("session key"), "ada's session key")

    def own(self, name: str) -> bytes:
        """Something of ada's."""
        return bytes.fromhex(self.ada[name])

    def who(self, handle: bytes) -> str:
        """The name of the connection that has a handle."""
        return next((n for n, c in self.connections.items() if c.handle == handle), "nobody")

    def secret_of(self, ciphertext: bytes) -> bytes:
        """The ML-KEM shared secret of a ciphertext."""
        require(ciphertext in self.secrets, "differs", "an ML-KEM ciphertext without its secret")
        return self.secrets[ciphertext]

    def frame(self, entry: Fields) -> None:
        """The next frame."""
        data = bytes.fromhex(entry["frame"])
        from_client = "from" in entry
        name, fields = read_frame(data, from_client)
        side = self.connections.setdefault(entry["from" if from_client else "to"], Connection())
        if side.role == 0 and from_client:
            require(len(data) - 4 <= MAX_GUEST_FRAME_BYTES, "too-large", "of a knocker")
        if "room" in fields:
            same(self.room, fields["room"], "room")
        if name in ("BROADCAST", "DIRECT"):
            what = self.forwarded(entry, data, name, fields, side)
        else:
            what = name
            getattr(self, f"on_{name.lower()}")(side, fields)
        same(entry["what"], what, "what it is")

    # §3: what is between one participant and the relay

    def on_challenge(self, side: Connection, fields: Fields) -> None:
        """The relay speaks first."""
        in_range = fields["min version"] <= 1 <= fields["max version"]
        require(in_range, "unsupported", "no version in common")
        side.nonce = fields["nonce"]

    def on_start(self, side: Connection, fields: Fields) -> None:
        """This document is version 1."""
        same(1, fields["version"], "version")

    def on_enter(self, side: Connection, fields: Fields) -> None:
        """An owner proves the room key; a knocker nothing."""
        if fields["role"] == ROLES["knocker"]:
            same(b"", fields["credential"], "credential of a knocker")
            return
        same(ROLES["owner"], fields["role"], "role")
        credential = decode(OWNER_CREDENTIAL, fields["credential"])
        same(self.room_key, credential["room public key"], "room key")
        body = side.nonce + self.relay_key + self.room + bytes([fields["role"]])
        crypto.verify(self.room_key, "enter", body, credential["signature"])

    def on_entered(self, side: Connection, fields: Fields) -> None:
        """A knocker keeps its handle when it becomes a member."""
        if side.handle:
            same(side.handle, fields["handle"], "handle")
        owners = any(c.role == ROLES["owner"] for c in self.connections.values())
        same(int(owners), fields["owner present"], "owner present")
        side.handle, side.role = fields["handle"], fields["role"]

    def on_admit(self, side: Connection, fields: Fields) -> None:
        """The admin's ticket for a newcomer's gate key."""
        self.check_ticket(fields["ticket"], self.who(fields["handle"]))

    def check_ticket(self, data: bytes, name: str) -> None:
        """A ticket for one participant, signed by the room key."""
        ticket = decode(room.TICKET, data)
        crypto.verify(self.room_key, "ticket", data[:120], ticket["signature"])
        same(self.room, ticket["room"], "room of a ticket")
        cert = self.connections[name].bundle["fields"]
        same(cert["gate key"], ticket["gate key"], "gate key of a ticket")

    def on_evict(self, side: Connection, fields: Fields) -> None:
        """The handle of a member that the last commit removed."""
        name = self.who(fields["handle"])
        identity = self.connections[name].bundle["fields"]["identity"]
        there = [leaf.fields["identity"] for leaf in self.member().roster]
        require(identity not in there, "differs", f"{name} is still in the roster")

    def on_gone(self, side: Connection, fields: Fields) -> None:
        """Of one's own handle: evicted."""
        same((side.handle, 2), (fields["handle"], fields["reason"]), "who is gone, and why")

    def on_set_min(self, side: Connection, fields: Fields) -> None:
        """The tickets of the last commit are the oldest that count."""
        same(self.member().epoch, fields["ticket epoch"], "ticket epoch")

    # §5: what goes from participant to participant

    def member(self) -> Member:
        """Ada in the room."""
        if self.me is None:
            raise Refused("differs", "ada is not yet a member")
        return self.me

    def forwarded(
        self, entry: Fields, data: bytes, name: str, fields: Fields, side: Connection
    ) -> str:
        """A payload: opened as it is sent, and delivered byte for byte as it came."""
        if "to" in entry:
            require(data in self.sent, "differs", "delivered, but never sent")
            if entry["to"] == "ada" and data in self.read:
                self.seen.append(self.read[data])
            return self.sent[data]
        same(side.handle, fields["from"], "handle of the sender")
        to = self.who(fields["to"]) if any(fields.get("to", b"")) else "owners"
        what = self.payload(fields["payload"], entry["from"], to, data)
        same(name, "BROADCAST" if what in BROADCAST_NAMES else "DIRECT", "how it is sent")
        self.sent[data] = what
        return what

    def payload(self, payload: bytes, sender: str, to: str, data: bytes) -> str:
        """§5: unmasks and opens a payload; its name."""
        masked, body = payload[:24], payload[24:]
        for secret in reversed(self.room_secrets[-2:]):
            try:
                header = room.unmask(masked, body, secret, self.room)
            except Refused:
                continue
            if header["kind"] == 1:
                return self.message(header, body, sender, data)
            return self.sealed(body, secret, sender, to)
        raise Refused("passed over", "no room secret unmasks it")

    def sealed(self, body: bytes, secret: bytes, sender: str, to: str) -> str:
        """A sealed body of the direction that its sender has."""
        direction = 1 if sender == "owl" else 0
        fields = room.open_sealed(body, secret, self.room, direction)
        name, _ = room.SEALED_TYPES[fields["type"]]
        if name == "COMMIT":
            self.on_commit(fields["content"])
        else:
            same(to == "owners", direction == 0, "sent to the owners")
            handler = getattr(self, f"on_{name.lower()}")
            handler(fields["content"], to if direction == 1 else sender)
        return name

    # §6: joining; `name` is the joiner's

    def on_knock(self, content: bytes, name: str) -> None:
        """The versions of the joiner."""
        same({"min version": 1, "max version": 1}, decode(room.KNOCK, content), "versions")

    def on_hello(self, content: bytes, name: str) -> None:
        """The admin's answer."""
        hello = room.read_hello(content, self.room, room.fingerprint(self.admin))
        self.connections[name].na = hello["na"]

    def on_bundle(self, content: bytes, name: str) -> None:
        """The keys of the joiner, for the na it got, with the MAC of its invite."""
        bundle = decode(room.BUNDLE, content)
        same(self.connections[name].na, bundle["na"], "na")
        s = self.secret_of(bundle["ML-KEM ciphertext"])
        secret = self.invites[name]["invite secret"]
        opened = room.open_bundle(content, self.room, self.admin, s, -1, secret)
        same(room.invite_id(secret), opened["invite id"], "invite id")
        self.connections[name].bundle = opened
        if name == "ada":
            self.check_own_cert(opened)

    def check_own_cert(self, bundle: Fields) -> None:
        """Ada's CERT, signed again with her seed, has the same bytes."""
        cert = bundle["fields"]
        same(self.own("session key"), cert["session key"], "session key")
        unsigned = bundle["cert"][:-64]
        signature = crypto.sign(self.own("identity seed"), "cert", unsigned)
        same(unsigned + signature, bundle["cert"], "CERT")
        rsa_key = crypto.load_rsa_key(self.own("RSA private key, PKCS #8"))
        same(crypto.spki_of(rsa_key), bundle["RSA SPKI"], "RSA SPKI")
        self.me = Member(
            self.room,
            self.admin,
            self.own("identity"),
            bundle["cert"],
            rsa_key,
            [bundle["ML-KEM key"]],
            self.secret_of,
        )

    # §7: epochs

    def on_wrap(self, content: bytes, name: str) -> None:
        """A member's wrap: held until the commit names it."""
        fields = decode(epochs.WRAP, content)
        same(max(self.commits) + 1, fields["epoch"], "epoch of a WRAP")
        self.check_ticket(fields["ticket"], name)
        self.wraps[name] = fields["wrap"]

    def on_welcome(self, content: bytes, name: str) -> None:
        """Ada's makes her a member; another's is held until S is known."""
        welcome = decode(epochs.WELCOME, content)
        self.check_ticket(welcome["ticket"], name)
        same(self.room_key, welcome["room public key"], "room key of a WELCOME")
        self.wraps[name] = welcome["wrap"]
        if name != "ada":
            self.welcomes.append((name, welcome))
            return
        s, _, opened = epochs.accept_welcome(welcome, self.member(), 0)
        same(self.room_secrets[-1], opened["room secret"], "room secret of a WELCOME")
        self.new_epoch(s)

    def on_commit(self, data: bytes) -> None:
        """§7: a commit continues the line of hashes; ada accepts those of her time."""
        commit = epochs.read_commit(data, self.room, self.admin)
        same(self.h, commit["prev"], "prev")
        same(max(self.commits, default=0) + 1, commit["epoch"], "epoch of a commit")
        self.h = epochs.next_h(data)
        self.commits[commit["epoch"]] = data
        self.check_wraps(commit)
        if self.me is not None:
            self.accept(data)
        self.wraps.clear()

    def check_wraps(self, commit: Fields) -> None:
        """Tag and hash of everybody's wrap are what the commit lists."""
        listed = []
        for name, wrap in self.wraps.items():
            bundle = self.connections[name].bundle
            kem_key = self.member().kem_keys[0] if name == "ada" else bundle["ML-KEM key"]
            identity = bundle["fields"]["identity"]
            _, tag = epochs.wrap_context(
                self.room, commit["epoch"], self.admin, identity, bundle["cert"], kem_key
            )
            listed.append({"tag": tag, "wrap hash": crypto.sha256(wrap)})
        same(sorted(listed, key=lambda item: item["tag"]), commit["wraps"], "wraps")

    def accept(self, data: bytes) -> None:
        """Ada's own step, and the WELCOMEs of those whom the commit adds."""
        me = self.member()
        if me.h != self.h:
            s, change = epochs.accept_commit(data, self.wraps["ada"], me)
            for gone in change["removed"]:
                key = me.epoch - 1, gone["leaf"]
                accepted = (self.chains[key].n, self.hashes[key])
                same(accepted, (gone["count"], gone["hash"]), "what is accepted of who is removed")
            self.new_epoch(s)
            if change["new secret"]:
                self.room_secrets.append(change["room secret"])
            for name, welcome in self.welcomes:
                self.check_welcome(s, data, name, welcome)
            self.welcomes.clear()
        same(self.h, me.h, "h")

    def check_welcome(self, s: bytes, commit: bytes, name: str, welcome: Fields) -> None:
        """Another's WELCOME carries this commit and this roster."""
        same(commit, welcome["commit"], f"commit of {name}'s WELCOME")
        opened = epochs.open_welcome_roster(s, self.room, commit, welcome["roster box"])
        same(self.room_secrets[-1], opened["room secret"], f"room secret of {name}'s WELCOME")
        leaves = epochs.read_roster(opened["leaves"], self.room, self.admin)
        same(self.member().roster, leaves, f"roster of {name}'s WELCOME")

    def on_kem_update(self, content: bytes, name: str) -> None:
        """Ada's new ML-KEM key, which the next wrap is for."""
        same("ada", name, "whose KEM_UPDATE")
        me = self.member()
        update = epochs.read_kem_update(content, self.own("session key"))
        same((self.room, me.h), (update["room"], update["h"]), "where a KEM_UPDATE is of")
        signature = crypto.sign(self.own("session key seed"), "kem", content[:-64])
        same(signature, content[-64:], "signature of a KEM_UPDATE")
        me.kem_keys.insert(0, update["ML-KEM key"])

    def on_kem_ack(self, content: bytes, name: str) -> None:
        """The admin has it."""
        me = self.member()
        ack = room.read_signed(epochs.KEM_ACK, content, self.admin, "kem-ack")
        same((self.room, me.h), (ack["room"], ack["h"]), "where a KEM_ACK is of")
        same(crypto.sha256(me.kem_keys[0]), ack["SHA-256(ML-KEM key)"], "key of a KEM_ACK")
        del me.kem_keys[1:]

    def new_epoch(self, s: bytes) -> None:
        """§8: the chains of an epoch, and what session.json says of it."""
        me = self.member()
        es = messages.epoch_secret(s, me.h)
        self.sessions = {leaf.leaf: leaf.fields["session key"] for leaf in me.roster}
        for leaf in self.sessions:
            self.chains[me.epoch, leaf] = Chain.of(es, me.h, leaf)
            self.hashes[me.epoch, leaf] = bytes(32)
        roster = shown_roster(me.roster)
        mine = next(leaf.leaf for leaf in me.roster if leaf.cert == me.cert)
        code = messages.safety_code(es, epochs.roster_hash(me.roster))
        values = (me.epoch, me.h, mine, code, roster)
        names = ("epoch", "h", "ada's leaf", "safety code", "roster")
        self.epochs.append(dict(zip(names, values)))

    # §8: messages

    def message(self, header: Fields, body: bytes, sender: str, data: bytes) -> str:
        """Opens a message of this epoch, and follows count and hash of its leaf."""
        me = self.member()
        epoch, leaf = header["epoch"], header["leaf"]
        same(me.epoch, epoch, "epoch of a message")
        chain = self.chains[epoch, leaf]
        same(chain.n, header["n"], "n of a message")
        aad = messages.message_aad(self.room, me.h, epoch, leaf, chain.n)
        keys = chain.step()
        _, fields = messages.open_message(keys, aad, self.sessions[leaf], body)
        kind, content = fields["type"], fields["content"]
        message = messages.read_content(kind, content)
        self.check_counts(epoch, leaf, message)
        clear = encode(room.HEADER, header)
        self.hashes[epoch, leaf] = messages.rolling(self.hashes[epoch, leaf], clear, body)
        if sender == "ada":
            seed = self.own("session key seed")
            same(messages.seal_message(keys, aad, seed, kind, content), body, "ada's message")
        else:
            self.read[data] = {"epoch": epoch, "leaf": leaf, "message": message}
        return message["name"]

    def check_counts(self, epoch: int, leaf: int, message: Fields) -> None:
        """§8: the numbers and hashes in a CLOSE and a HEARTBEAT."""
        if message["name"] == "CLOSE":
            key = message["epoch"], leaf
            mine = self.chains[key].n, self.hashes[key]
            same(mine, (message["count"], message["hash"]), "CLOSE")
        elif message["name"] == "HEARTBEAT":
            mine = self.chains[epoch, leaf].n - 1, self.hashes[epoch, leaf]
            same(mine, (message["count"], message["hash"]), "HEARTBEAT")
            leaves = [
                (i, self.chains[epoch, i].n - (i == leaf), self.hashes[epoch, i])
                for i in self.sessions
            ]
            same(messages.digest(leaves), message["digest"], "digest")


def read_session(content: Fields, log: Log) -> None:
    """Reads all frames in order, and then compares what came out; stops at the first difference."""
    session = Session(content)
    where = "the start"
    try:
        session.check_start()
        for i, entry in enumerate(content["frames"]):
            where = f"frame {i}, {entry['what']}"
            session.frame(entry)
            log.opened += 1
        same([], session.welcomes, "WELCOMEs without a commit")
        for name, found in (("epochs", session.epochs), ("messages", session.seen)):
            where = name
            same(content[name], shown(found), name)
            log.opened += len(found)
    except (Refused, KeyError, ValueError) as error:
        log.fault(where, f"{type(error).__name__} {error}")
