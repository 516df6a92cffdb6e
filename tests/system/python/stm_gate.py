"""PROTOCOL.md §2 and §3: frames, and the messages between a participant and the relay."""

from __future__ import annotations

from stm_wire import Fields, Reader, decode, layout, require, same

MAX_FRAME_BYTES = 1048576
MAX_GUEST_FRAME_BYTES = 16384

# §3.2: type, name, who sends it (Client, Relay), body.
GATE = {
    0x01: ("BROADCAST", "CR", layout("room bytes[16] ‖ from bytes[16] ‖ payload rest")),
    0x02: ("DIRECT", "CR", layout("room bytes[16] ‖ from bytes[16] ‖ to bytes[16] ‖ payload rest")),
    0x10: (
        "CHALLENGE",
        "R",
        layout(
            "min version u8 ‖ max version u8 ‖ nonce bytes[32] ‖ max frame u32{1-1048576}"
            " ‖ access u8{0-0}"
        ),
    ),
    0x11: ("START", "C", layout("version u8")),
    0x12: ("ENTER", "C", layout("room bytes[16] ‖ role u8{0-2} ‖ credential b16{280}")),
    0x13: (
        "ENTERED",
        "R",
        layout("room bytes[16] ‖ handle bytes[16] ‖ role u8{0-2} ‖ owner present u8{0-1}"),
    ),
    0x14: ("LEAVE", "C", layout("room bytes[16]")),
    0x15: ("GONE", "R", layout("room bytes[16] ‖ handle bytes[16] ‖ reason u8{0-3}")),
    0x16: ("OWNER", "R", layout("room bytes[16] ‖ present u8{0-1}")),
    0x17: ("EVICT", "C", layout("room bytes[16] ‖ handle bytes[16] ‖ bar u8{0-1}")),
    0x18: ("SET_MIN", "C", layout("room bytes[16] ‖ ticket epoch u64")),
    0x19: ("RENEW", "C", layout("ticket bytes[184]")),
    0x1A: ("PING", "CR", layout("token u64")),
    0x1B: ("PONG", "CR", layout("token u64")),
    0x1C: ("REFUSED", "R", layout("room bytes[16] ‖ code u16{1-11} ‖ message str{256}")),
    0x1D: ("CLOSING", "R", layout("code u16{1-7} ‖ message str{256}")),
    0x1E: ("ADMIT", "C", layout("room bytes[16] ‖ handle bytes[16] ‖ ticket bytes[184]")),
}
OWNER_CREDENTIAL = layout("room public key bytes[32] ‖ signature bytes[64]")
ROLES = {"knocker": 0, "member": 1, "owner": 2}


def read_frame(data: bytes, from_client: bool) -> tuple[str, Fields]:
    """§2: one frame; its name and fields."""
    reader = Reader(data)
    size = reader.integer(4, 1, MAX_FRAME_BYTES)
    same(size, len(data) - 4, "length")
    kind = reader.integer(1)
    require(kind in GATE, "unsupported", f"type {kind}")
    name, senders, of = GATE[kind]
    require(("C" if from_client else "R") in senders, "malformed", f"a {name} from that side")
    return name, decode(of, data[5:])
