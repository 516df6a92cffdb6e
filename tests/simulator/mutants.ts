/** The program with one defence out each: the simulator has to find them. */
import type { Patch } from "../support/patched_copy.ts";
import { patch } from "../hostile/attack.ts";
import type { Rule } from "./invariants.ts";

/** One mutant. */
export interface Mutant {
  readonly name: string;
  /** Invariants that name what is wrong. */
  readonly breaks: readonly Rule[];
  readonly patches: readonly Omit<Patch, "name">[];
}

/** All of them. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: "a WELCOME is taken again: keys and nonces are used twice",
    breaks: ["no nonce twice", "one epoch, one roster, one admin"],
    patches: [
      patch(
        "src/crypto/member_keys.ts",
        "if (this.current !== null) {\n      throw",
        "if (false) {\n      throw",
      ),
    ],
  },
  {
    name: "an old generation is accepted",
    breaks: ["no old copy comes in"],
    patches: [
      patch(
        "src/crypto/join.ts",
        "if (member.value.generation <= highestGeneration(member.value.identity)) {",
        "if (member.value.generation < 0) {",
      ),
    ],
  },
  {
    name: "no CLOSE",
    breaks: ["nothing is lost", "lost texts are shown as missing"],
    patches: [
      patch(
        "src/session/epochs.ts",
        'if (hadSent) turn.send(room.id, { kind: "close", epoch: room.spokeIn });',
        "",
      ),
    ],
  },
  {
    name: "the roster is not compared with what the commit confirms",
    breaks: ["one epoch, one roster, one admin"],
    patches: [
      patch(
        "src/crypto/accept_commit.ts",
        "if (!sameSecret(expected, commit.rosterKc)) {",
        "if (expected.length === 0) {",
      ),
    ],
  },
  {
    name: "a chain moves before the signature is checked",
    breaks: ["nothing is lost", "lost texts are shown as missing"],
    patches: [
      patch(
        "src/crypto/sender_chain.ts",
        "      value = open(message);\n",
        "      const key = copyOf(message);\n",
      ),
      patch(
        "src/crypto/sender_chain.ts",
        "        after.fill(0);\n      }\n",
        "        after.fill(0);\n      }\n      this.#next = n + 1;\n      value = open(key);\n",
      ),
    ],
  },
  {
    name: "the epoch after the next is accepted",
    breaks: ["one epoch, one roster, one admin", "lost texts are shown as missing"],
    patches: [
      patch(
        "src/crypto/accept_commit.ts",
        "if (commit.epoch !== here.next) {",
        "if (commit.epoch <= here.epoch) {",
      ),
      patch(
        "src/crypto/accept_commit.ts",
        "if (!sameBytes(commit.prev, here.h)) {",
        "if (commit.prev.length === 0) {",
      ),
    ],
  },
  {
    name: "a removed member stays",
    breaks: ["the removed know it"],
    patches: [
      patch(
        "src/driver/inbound.ts",
        'return [{ kind: "removed", room, restarted }];',
        "return restarted ? [] : [];",
      ),
    ],
  },
  {
    name: "who was a deputy is followed",
    breaks: ["one admin line", "one epoch, one roster, one admin", "all in one epoch"],
    patches: [
      patch(
        "src/crypto/member_keys.ts",
        'if (warrant.purpose === "deputy" && !this.deputies.includes(member.leaf)) {',
        "if (warrant.epoch < 0) {",
      ),
    ],
  },
  {
    name: "a deputy is followed while the admin is there",
    breaks: ["one admin line", "one epoch, one roster, one admin", "all in one epoch"],
    patches: [
      patch(
        "src/session/succession.ts",
        'if (offer.purpose === "deputy" && !adminIsSilent(room, turn.at)) return;',
        "",
      ),
    ],
  },
  {
    name: "repair goes to everybody",
    breaks: ["repair goes to one"],
    patches: [
      patch(
        "src/driver/run_role.ts",
        "          for (const payload of this.#keys(room).repairs(epoch, leaf, [n])) {\n            this.#direct(room, to, payload);",
        "          for (const payload of this.#keys(room).repairs(epoch, leaf, [n])) {\n            if (to.length > 0) this.#broadcast(room, payload);",
      ),
    ],
  },
  {
    name: "no heartbeats",
    breaks: ["nothing is lost", "lost texts are shown as missing", "all agree in the end"],
    patches: [
      patch(
        "src/session/step.ts",
        '        turn.send(id, { kind: "heartbeat" });\n',
        "",
      ),
    ],
  },
  {
    name: "the count of the removed does not matter",
    breaks: ["lost texts are shown as missing", "nothing is lost"],
    patches: [
      patch(
        "src/crypto/room_keys.ts",
        "const last = this.#previous?.limit(leaf, count, hash);",
        "const last = { missing: count < 0 ? 1 : 0, fork: hash.length === 0 };",
      ),
    ],
  },
  {
    name: "a text that was sealed again is shown again",
    breaks: ["no text twice"],
    patches: [patch(
      "src/crypto/room_keys.ts",
      "return author !== undefined && !this.#shown.add(author, id);",
      "return author !== undefined && !this.#shown.add(author, id) && author.length === 0;",
    )],
  },
  {
    name: "a gap is not asked for",
    breaks: ["nothing is lost", "an honest relay alarms nobody"],
    patches: [
      patch(
        "src/session/gaps.ts",
        "if (missing.length > 0) ask(turn, id, leaf, more.length === 0 ? missing : more);",
        "if (missing.length > 0) giveUp(turn, id, leaf);",
      ),
    ],
  },
  {
    name: "what waits behind a gap is shown at once",
    breaks: ["each author's order"],
    patches: [
      patch(
        "src/session/gaps.ts",
        "if (gap === undefined) return show(",
        "if (gap !== null) return show(",
      ),
    ],
  },
];
