"""Reads tests/vectors with nothing but PROTOCOL.md: python3 stm_reader.py VECTORS_DIR

Prints for each file how much was opened and how much was refused, as the vectors say; every other
outcome is printed as `file: vector: what differs`, and the exit code is 1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    from stm_crypto import load_rsa_key
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing, as root: apt-get install python3-cryptography")
from stm_operations import OPERATIONS, Input
from stm_session import read_session
from stm_wire import Fields, Refused, shown


def differences(wanted: Any, got: Any, where: str = "") -> Iterator[str]:
    """Where two values differ."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for name in sorted(wanted.keys() | got.keys()):
            a, b = wanted.get(name, "nothing"), got.get(name, "nothing")
            yield from differences(a, b, f"{where} {name}")
    elif isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        for i, (a, b) in enumerate(zip(wanted, got)):
            yield from differences(a, b, f"{where} {i}")
    elif wanted != got:
        yield f"{where.strip()}: {wanted!r} wanted, {got!r} found"


class Tally:
    """What was opened and refused of one file, and what differs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.opened = 0
        self.refused = 0
        self.faults: list[str] = []

    def fault(self, vector: str, what: str) -> None:
        """Notes a difference."""
        self.faults.append(f"{self.name}: {vector}: {what}")

    def line(self) -> str:
        """The line of this file."""
        return f"{self.name}: {self.opened} opened, {self.refused} refused"


def read_vector(vector: Fields, tally: Tally) -> None:
    """One vector: its output has to come out, and its negatives have to be refused."""
    title = f"{vector['operation']}, {vector['name']}"
    operation = OPERATIONS[vector["operation"]]
    try:
        found = list(differences(vector["output"], shown(operation(Input(vector["input"])))))
        for difference in found:
            tally.fault(title, difference)
        tally.opened += not found
    except (Refused, ValueError) as error:
        tally.fault(title, f"refused: {error}")
    for negative in vector["negative"]:
        name = f"{title}, {negative['name']}"
        try:
            operation(Input({**vector["input"], **negative["replace"]}))
            tally.fault(name, f"taken, {negative['refusal']} wanted")
        except Refused as error:
            if error.code == negative["refusal"]:
                tally.refused += 1
            else:
                tally.fault(name, f"{error}, {negative['refusal']} wanted")


def read_keys(keys: list[str], tally: Tally) -> None:
    """The RSA keys of the other vectors."""
    for i, key in enumerate(keys):
        try:
            load_rsa_key(bytes.fromhex(key))
            tally.opened += 1
        except Refused as error:
            tally.fault(f"key {i}", str(error))


def read_file(path: Path) -> Tally:
    """One file of vectors."""
    content = json.loads(path.read_text("utf-8"))
    tally = Tally(path.stem)
    if "frames" in content:
        read_session(content, tally)
    elif "keys" in content:
        read_keys(content["keys"], tally)
    else:
        for vector in content["vectors"]:
            read_vector(vector, tally)
    return tally


def main(folder: str) -> int:
    """Reads every file of a folder; the exit code."""
    tallies = [read_file(path) for path in sorted(Path(folder).glob("*.json"))]
    for tally in tallies:
        print(tally.line())
        for fault in tally.faults:
            print(fault)
    right = tallies != [] and not any(tally.faults for tally in tallies)
    return 0 if right else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 stm_reader.py VECTORS_DIR")
    sys.exit(main(sys.argv[1]))
