"""PROTOCOL.md §1 and §5: how structures are written as bytes, read from the page's own notation.

    KNOCK = layout("min version u8 ‖ max version u8")
    decode(KNOCK, bytes([1, 1])) == {"min version": 1, "max version": 1}

Beside the page's types a layout may say `u8{0-4}` (the values that are listed), `b16{348}` (the
longest length), `bytes[56] zero`, `rising32<T>` for a list32 that the page orders, and `list16<T>{4}`
(the most items).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Fields = dict[str, Any]

MAX_INTEGER = 2**53 - 1
PADDED_SIZES = (256, 512, 1024, 2048, 4096)


class Refused(Exception):
    """What a vector calls the refusal: its code, and for a person where it came from."""

    def __init__(self, code: str, why: str = "") -> None:
        super().__init__(f"{code} ({why})" if why else code)
        self.code = code


def require(holds: bool, code: str, why: str) -> None:
    """Refuses unless something holds."""
    if not holds:
        raise Refused(code, why)


def same(wanted: Any, got: Any, what: str) -> None:
    """Demands that two things are the same."""
    require(wanted == got, "differs", f"{what}: {wanted!r} wanted, {got!r} found")


@dataclass(frozen=True)
class Field:
    """One field of a structure: `kind` is u, bytes, b, str, rest or list."""

    name: str
    kind: str
    size: int = 0
    low: int = 0
    high: int = MAX_INTEGER
    rising: bool = False
    zero: bool = False
    of: tuple["Field", ...] = ()


Layout = tuple[Field, ...]

FIELD = re.compile(
    r"(?P<name>.+?) (?:u(?P<u>8|16|32|64)|bytes\[(?P<bytes>\d+)\]|b(?P<b>16|32)|(?P<str>str)"
    r"|(?P<rest>rest)|(?P<list>list|rising)(?P<count>16|32)<(?P<of>.+)>)"
    r"(?:\{(?:(?P<low>\d+)-)?(?P<high>\d+)\})?(?P<zero> zero)?"
)


def top_level(text: str) -> list[str]:
    """The fields of a layout: a ‖ within <> joins those of an item."""
    parts: list[str] = []
    depth = 0
    for part in text.split(" ‖ "):
        if depth > 0:
            parts[-1] += " ‖ " + part
        else:
            parts.append(part)
        depth += part.count("<") - part.count(">")
    return parts


def layout(text: str) -> Layout:
    """Reads a layout: fields joined by ‖, each a name and a type."""
    fields = []
    for part in top_level(text):
        found = FIELD.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"not a field: {part}")
        limits = {"high": int(found["high"])} if found["high"] else {}
        if found["low"]:
            limits["low"] = int(found["low"])
        name = found["name"]
        if found["u"]:
            fields.append(Field(name, "u", int(found["u"]) // 8, **limits))
        elif found["bytes"]:
            fields.append(Field(name, "bytes", int(found["bytes"]), zero=bool(found["zero"])))
        elif found["b"]:
            fields.append(Field(name, "b", int(found["b"]) // 8, **limits))
        elif found["list"]:
            size, rising = int(found["count"]) // 8, found["list"] == "rising"
            fields.append(Field(name, "list", size, **limits, rising=rising, of=layout(found["of"])))
        else:
            fields.append(Field(name, "str" if found["str"] else "rest", 2, **limits))
    return tuple(fields)


class Reader:
    """Takes bytes from the front, and refuses what is not there."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        """The next bytes."""
        require(self.at + size <= len(self.data), "truncated", f"{size} bytes at {self.at}")
        self.at += size
        return self.data[self.at - size : self.at]

    def integer(self, size: int, low: int = 0, high: int = MAX_INTEGER) -> int:
        """The next integer: unsigned, big-endian, at most 2^53 - 1."""
        value = int.from_bytes(self.take(size), "big")
        require(low <= value <= high, "bad-value", f"{value} is not of {low} to {high}")
        return value

    def fields(self, of: Layout) -> Fields:
        """The next structure."""
        return {field.name: self.field(field) for field in of}

    def field(self, field: Field) -> Any:
        """The next field."""
        if field.kind == "u":
            return self.integer(field.size, field.low, field.high)
        if field.kind == "bytes":
            value = self.take(field.size)
            require(not (field.zero and any(value)), "bad-value", f"{field.name} is not zero")
            return value
        if field.kind == "b":
            return self.take(self.integer(field.size, 0, field.high))
        if field.kind == "rest":
            return self.take(len(self.data) - self.at)
        if field.kind == "str":
            return text(self.take(self.integer(2, 0, field.high)))
        items = [self.fields(field.of) for _ in range(self.integer(field.size, 0, field.high))]
        if field.rising:
            keys = [item[field.of[0].name] for item in items]
            ordered = all(a < b for a, b in zip(keys, keys[1:]))
            require(ordered, "bad-value", f"{field.name} is not in rising order")
        return items


def text(data: bytes) -> str:
    """Well-formed UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("bad-utf8") from error


def encode(of: Layout, fields: Fields) -> bytes:
    """Writes a structure."""
    out = b""
    for field in of:
        value = fields[field.name]
        if field.kind == "u":
            out += value.to_bytes(field.size, "big")
        elif field.kind in ("bytes", "rest"):
            out += value
        elif field.kind == "list":
            out += len(value).to_bytes(field.size, "big")
            out += b"".join(encode(field.of, item) for item in value)
        else:
            data = value.encode() if field.kind == "str" else value
            out += len(data).to_bytes(field.size, "big") + data
    return out


def decode(of: Layout, data: bytes) -> Fields:
    """Reads a whole structure, and writes it again: both must be the same bytes."""
    reader = Reader(data)
    fields = reader.fields(of)
    require(reader.at == len(data), "leftover", f"{len(data) - reader.at} bytes left over")
    if encode(of, fields) != data:
        raise AssertionError("written again, a structure has other bytes")
    return fields


def padded_size(size: int) -> int:
    """§5: the least of 256 to 4096 and then of the multiples of 4096 that is at least `size`."""
    return next((s for s in PADDED_SIZES if s >= size), (size + 4095) // 4096 * 4096)


def pad(data: bytes) -> bytes:
    """§5: zeros up to the padded size."""
    return data.ljust(padded_size(len(data)), b"\0")


def decode_padded(of: Layout, data: bytes) -> Fields:
    """Reads a structure that zeros follow, up to exactly the padded size."""
    reader = Reader(data)
    fields = reader.fields(of)
    padding = reader.take(padded_size(reader.at) - reader.at)
    require(reader.at == len(data), "leftover", "padded too far")
    require(not any(padding), "bad-value", "padding that is not zero")
    if pad(encode(of, fields)) != data:
        raise AssertionError("written again, a padded structure has other bytes")
    return fields


def b16(data: bytes) -> bytes:
    """§1: a u16 length and the bytes."""
    return len(data).to_bytes(2, "big") + data


def u32(value: int) -> bytes:
    """§1: four bytes."""
    return value.to_bytes(4, "big")


def u64(value: int) -> bytes:
    """§1: eight bytes."""
    return value.to_bytes(8, "big")


def shown(value: Any) -> Any:
    """A value as the vectors write it: byte strings in hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    return [shown(item) for item in value] if isinstance(value, list) else value
