/** What holds at the end of every simulation, whatever happened in it. */
import type { WarningCode } from "../../src/session/notice.ts";
import { CHAIN_LIFE_MS } from "../../src/wire/limits.ts";
import { opensTexts, recordedPayloads } from "../hostile/opener.ts";
import {
  adminAmong,
  adminOf,
  hasEnded,
  isThere,
  type Person,
  type Played,
  type Program,
} from "./simulation.ts";

/** An invariant that does not hold. */
export interface Violation {
  readonly rule: Rule;
  readonly detail: string;
}

type Invariant = (played: Played) => string | null;

/** By their names; the first that says something is what is wrong. */
const INVARIANTS = {
  "nobody is thrown out": nobodyThrownOut,
  "no text twice": noTextTwice,
  "nothing that nobody said": nothingInvented,
  "each author's order": eachAuthorsOrder,
  "nothing for who came later": nothingForWhoCameLater,
  "one epoch, one roster, one admin": onePlace,
  "all in one epoch": allInOneEpoch,
  "what is typed is sent, once": typedIsSent,
  "nothing is lost": nothingLost,
  "lost texts are shown as missing": lostIsShown,
  "the removed are out": removedOut,
  "the removed know it": removedKnow,
  "the removed read nothing": removedReadNothing,
  "no nonce twice": noNonceTwice,
  "repair goes to one": repairToOne,
  "no old copy comes in": oldCopiesOut,
  "one admin line": oneAdminLine,
  "an honest relay alarms nobody": noFalseAlarm,
  "all agree in the end": allAgree,
} as const satisfies Record<string, Invariant>;

/** Name of an invariant. */
export type Rule = keyof typeof INVARIANTS;

/** The first that does not hold; `null` if all do. */
export function check(played: Played): Violation | null {
  for (const [rule, invariant] of Object.entries(INVARIANTS)) {
    const detail = invariant(played);
    if (detail !== null) return { rule: rule as Rule, detail };
  }
  return null;
}

/** Nobody's program ends but by its person's will or the admin's. */
function nobodyThrownOut({ people, lied, lossy, attacked, oldCopies }: Played): string | null {
  for (const { program, gone, name } of people) {
    const broken = program.events.find((e) => e.type === "error" && e.code === "broken");
    if (broken?.type === "error") return `${name}: ${broken.message}`;
    const bye = program.events.findLast((e) => e.type === "bye");
    if (bye?.type !== "bye" || gone || oldCopies.includes(name)) continue;
    if (lied && bye.exitCode === 7) continue;
    // A hostile relay can have the admin believe that somebody is gone (SECURITY.md).
    if ((lossy || attacked) && bye.exitCode === 6) continue;
    // An invite may have been revoked while somebody knocked with it.
    if (program.toldAt("joined") === null && bye.exitCode === 6) continue;
    return `${name}: ${bye.exitCode} ${bye.reason}`;
  }
  return null;
}

function noTextTwice({ people }: Played): string | null {
  for (const program of programsOf(people)) {
    const seen = new Set<string>();
    for (const { text } of program.every("message")) {
      if (seen.has(text)) return `${program.name}: ${text}`;
      seen.add(text);
    }
  }
  return null;
}

function nothingInvented({ people }: Played): string | null {
  for (const program of programsOf(people)) {
    for (const { from, text } of program.every("message")) {
      const author = people.find(({ name }) => name === from);
      if (author?.said.some((s) => s.text === text) !== true) {
        return `${program.name} of ${from}: ${text}`;
      }
    }
  }
  return null;
}

/** Each hears each other's texts in the order in which they were said. */
function eachAuthorsOrder({ people }: Played): string | null {
  for (const program of programsOf(people)) {
    for (const author of people) {
      const places = placesShown(program, author);
      if (places.some((place, i) => i > 0 && place < (places[i - 1] ?? 0))) {
        return `${program.name} of ${author.name}: ${places.join()}`;
      }
    }
  }
  return null;
}

/**
 * The places of an author's texts in what it said, as they were shown to somebody. Without those that are no part of
 * the talk that is followed: what came after it had been shown as missing, and says so; and what was said before, and
 * is said again because its author had to come in anew, to one who has come in, or come in anew, since (§9).
 */
function placesShown(program: Program, author: Person): readonly number[] {
  const first = program.firstToldAt("joined") ?? Infinity;
  let joined = first;
  let missing = 0;
  return program.events.flatMap((e) => {
    if (e.type === "joined") joined = program.timeOf(e);
    if (e.type === "missing" && e.from === author.name) missing += e.count;
    if (e.type !== "message" || e.from !== author.name) return [];
    const place = author.said.findIndex(({ text }) => text === e.text);
    const saidAt = author.said[place]?.at ?? 0;
    const isAgain = programsOf([author]).some((its) =>
      its.every("joined").some((j) => {
        const at = its.timeOf(j);
        return at > saidAt && at <= program.timeOf(e);
      })
    );
    if (saidAt <= first || (isAgain && saidAt <= joined)) return [];
    if ((e.late === true || isAgain) && missing > 0) {
      missing--;
      return [];
    }
    return [place];
  });
}

/** Whoever was not in the room when something was said is not shown it, also when its author says it again (P1). */
function nothingForWhoCameLater({ people }: Played): string | null {
  for (const reader of people) {
    for (const program of [...reader.before, reader.program]) {
      for (const { text } of program.every("message")) {
        const author = people.find(({ said }) => said.some((s) => s.text === text));
        const by = author?.said.find((s) => s.text === text)?.by;
        const audience = by === undefined ? undefined : audienceOf(by, text);
        if (audience?.includes(reader.name) === false) {
          return `${reader.name} is shown "${text}", which was for ${audience.join("+")}`;
        }
      }
    }
  }
  return null;
}

/** An epoch is the same for all who were in it: its people, its admin, its keys. */
function onePlace({ people }: Played): string | null {
  const places = new Map<number, { code: string; members: string; who: string }>();
  for (const program of programsOf(people)) {
    for (const e of program.events) {
      if (e.type !== "joined" && e.type !== "epoch") continue;
      const members = e.members.map((m) => `${m.name}${m.admin ? "*" : ""}`).sort().join("+");
      const known = places.get(e.epoch);
      if (known === undefined) {
        places.set(e.epoch, { code: e.safetyCode, members, who: program.name });
      } else if (known.code !== e.safetyCode || known.members !== members) {
        return `epoch ${e.epoch}: ${known.who} has ${known.members}, ${program.name} ${members}`;
      }
    }
  }
  return null;
}

function allInOneEpoch(played: Played): string | null {
  const { people } = played;
  const live = heardOf(people);
  const newest = Math.max(...live.map(({ program }) => program.epoch));
  for (const { program, name } of live) {
    const isIn = program.toldAt("joined") !== null;
    if (!isIn && (played.lossy || played.attacked || hasOldInvite(program))) continue;
    if (program.epoch !== newest) return `${name} ${program.epoch} of ${newest}`;
  }
  return null;
}

/** What was typed is sent; what was typed into a program that was killed may be gone with it. */
function typedIsSent({ people, attacked }: Played): string | null {
  // A deputy that claims without taking over leaves the room without an admin: it was trusted with that.
  if (attacked) return null;
  for (const { program, said, name } of people.filter(isThere)) {
    if (program.toldAt("joined") === null) continue;
    const sent = program.every("sent").map((e) => e.text);
    for (const { text, by } of said) {
      const times = sent.filter((t) => t === text).length;
      if (by === program && times !== 1) return `${name}: ${text} ${times} times`;
    }
  }
  return null;
}

function nothingLost(played: Played): string | null {
  if (played.lossy) return null;
  return lost(
    played,
    (reader, author) =>
      wereApartTooLong(played.people, reader.name, author)
        ? toldMissing(reader.program, author)
        : 0,
  );
}

function lostIsShown(played: Played): string | null {
  return lost(
    played,
    (reader, author) =>
      toldMissing(reader.program, author) +
      // What comes when the keys of its epoch are gone is shown as it is refused.
      reader.program.every("warning").filter((e) => e.code === "replay" && e.from === author)
        .length,
  );
}

function toldMissing(reader: Program, author: string): number {
  return reader.every("missing").filter((e) => e.from === author)
    .reduce((sum, e) => sum + e.count, 0);
}

/**
 * The keys of an epoch are gone two minutes after it (P6). Where for so long without a break one of two, or the admin
 * whom they learn the next epoch from, was without a connection, what one said in the epoch before may find the other
 * without them: that is lost to it, and has to be told.
 */
function wereApartTooLong(people: readonly Person[], reader: string, author: string): boolean {
  const spans = people.filter((person) =>
    person.name === reader || person.name === author ||
    programsOf([person]).some((program) => adminOf(program) === person.name)
  ).flatMap((person) => awayOf(person)).sort((a, b) => a.from - b.from);
  let from = 0;
  let to = 0;
  for (const span of spans) {
    if (span.from > to) from = span.from;
    to = Math.max(to, span.to);
    if (to - from >= CHAIN_LIFE_MS) return true;
  }
  return false;
}

/** Who says something and leaves at once waits for nobody who has just lost its connection: nobody may have it then. */
function leftAtOnce(people: readonly Person[], reader: string, author: string): boolean {
  const by = people.find(({ name }) => name === author);
  const at = by?.program.toldAt("bye") ?? null;
  const of = people.find(({ name }) => name === reader);
  if (by === undefined || of === undefined || at === null || !by.gone || by.unwanted) return false;
  return awayOf(of).some(({ from, to }) => from <= at && to >= at - AT_ONCE_MS);
}

const AT_ONCE_MS = 5_000;

/** How many messages of somebody only its own program had, which has ended: nobody can mend that. */
function goneWithItsProgram({ people, reached }: Played, author: string): number {
  const by = people.find(({ name }) => name === author);
  if (by === undefined) return 0;
  const ended = [...by.before, ...hasEnded(by.program) ? [by.program] : []];
  return ended.reduce((sum, { keys }) => sum + reached.nobodyHas(keys.own.session), 0);
}

function awayOf(person: Person): { readonly from: number; readonly to: number }[] {
  return programsOf([person]).flatMap(({ away }) => away);
}

/** Each has each other's texts, but for so many. */
function lost(
  played: Played,
  allowed: (reader: Person, author: string) => number,
): string | null {
  const { people } = played;
  const heard = heardOf(people);
  for (const reader of heard) {
    const since = reader.program.toldAt("joined");
    if (since === null) continue;
    for (const author of people) {
      if (author === reader || (isThere(author) && !heard.includes(author))) continue;
      const lacking = expected(people, reader, author, since)
        .filter((text) => !reader.program.hasHeard(text));
      const most = allowed(reader, author.name);
      if (lacking.length > most) {
        return `${reader.name} lacks ${lacking.length} of ${author.name} (${
          lacking[0]
        }), told ${most}`;
      }
    }
  }
  return null;
}

/** What a reader has to have of an author, who is there or was removed. */
function expected(
  people: readonly Person[],
  reader: Person,
  author: Person,
  since: number,
): string[] {
  const authorSince = author.program.toldAt("joined");
  if (authorSince === null) return [];
  const from = Math.max(since, authorSince);
  const after = author.said.filter((s) => s.at > from)
    // Its author may not have known yet that the reader had come: then it was for others, who alone have its key (P1).
    .filter((s) => audienceOf(s.by, s.text)?.includes(reader.name) !== false)
    .filter((s) => (epochOf(s.by, s.text) ?? Infinity) >= cameInto(reader.program))
    .map((s) => s.text);
  if (isThere(author)) {
    const sent = new Set(author.program.every("sent").map((e) => e.text));
    return after.filter((text) => sent.has(text));
  }
  // Of one who was removed, what the admin has: where it ends is the admin's word.
  const admin = adminAmong(people);
  if (admin === undefined || admin === reader) return [];
  return after.filter((text) => admin.program.hasHeard(text));
}

/** Whoever left or was kicked is in nobody's roster any more. */
function removedOut({ people }: Played): string | null {
  // Without an admin nobody is removed; who said goodbye is shown as gone.
  if (adminAmong(people) === undefined) return null;
  const gone = people.filter((person) => person.gone).map(({ name }) => name);
  for (const { program, name } of heardOf(people)) {
    const last = program.events.findLast((e) => e.type === "joined" || e.type === "epoch");
    if (last?.type !== "joined" && last?.type !== "epoch") continue;
    const still = last.members.find((m) => gone.includes(m.name));
    if (still !== undefined) return `${name} still has ${still.name}`;
  }
  return null;
}

/** Whoever is kicked is told so; behind or away it asks to come in again, and waits. */
function removedKnow({ people, unaware }: Played): string | null {
  if (unaware.length > 0) return `${unaware[0]} was there and was not told`;
  for (const { program, gone, unwanted, name } of people) {
    if (!gone || !unwanted || hasEnded(program)) continue;
    const last = program.events.findLast((e) =>
      ["joined", "epoch", "waiting", "reconnecting"].includes(e.type)
    );
    if (last?.type === "joined" || last?.type === "epoch") return `${name} does not know`;
  }
  return null;
}

/** With all that the removed ever held, nothing opens of what was said last. */
function removedReadNothing({ world, people, leaks }: Played): string | null {
  // Who left has the keys until an admin has made an epoch without it.
  if (adminAmong(people) === undefined) return null;
  const last = people.filter(isThere).map(({ said }) => said.at(-1)?.text);
  for (const { program, name } of people.filter(({ gone }) => gone)) {
    const leak = leaks.get(program.keys.own.identity);
    if (leak === undefined) continue;
    const opened = opensTexts(program.keys.room, leak, recordedPayloads(world.relay.record));
    const read = opened.find((text) => last.includes(text));
    if (read !== undefined) return `${name}: ${read}`;
  }
  return null;
}

/** No sender seals two messages at one place: the key and the nonce would be the same. */
function noNonceTwice({ world: { relay }, forged }: Played): string | null {
  const bodies = new Map<string, string>();
  for (const carried of relay.record) {
    if (carried.direction !== "up" || carried.message.kind !== "broadcast") continue;
    const seen = relay.look(carried);
    if (seen.kind !== "message") continue;
    const body = carried.message.payload.toHex();
    // Forgeries stand at their victim's place.
    if (forged.has(body)) continue;
    const place = `${carried.who} ${seen.epoch}/${seen.leaf}/${seen.n}`;
    const before = bodies.get(place);
    if (before !== undefined && before !== body) return place;
    bodies.set(place, body);
  }
  return null;
}

function repairToOne({ world: { relay } }: Played): string | null {
  for (const carried of relay.record) {
    if (carried.direction !== "up" || carried.message.kind !== "broadcast") continue;
    if (relay.look(carried).kind === "repair") return `${carried.who} sends it to all`;
  }
  return null;
}

function oldCopiesOut({ people, oldCopies }: Played): string | null {
  for (const name of oldCopies) {
    const cameIn = programsOf(people).some((program) =>
      program.events.some((e) => e.type === "member-joined" && e.name === name)
    );
    if (cameIn) return name;
  }
  return null;
}

/** Nobody gives its keys to somebody who claims the room and may not. */
function oneAdminLine({ followed }: Played): string | null {
  return followed.length === 0 ? null : `${followed[0]} follows`;
}

/** What an honest relay and honest people may make a program say. */
const HARMLESS: readonly WarningCode[] = [
  "gap",
  "stale-membership",
  // Somebody was removed while its words were on their way.
  "unknown-sender",
  // Somebody was away for so long, and the admin after it, that the keys of its epoch are gone at the others.
  "replay",
];

/** What an honest reason may have too, and says so: a newcomer has no key for it, an old admin not the deputy's. */
const UNSURE = /or sent before we came$|or a deputy runs this room now$/;

function noFalseAlarm(played: Played): string | null {
  const { people, lossy, attacked } = played;
  if (lossy || attacked) return null;
  // Whoever missed how another became the admin cannot know it, until it has come in anew.
  const changed = programsOf(people).some((program) =>
    program.every("epoch").some((e) => e.reason === "claim" || e.reason === "hand-over")
  );
  const harmless = changed
    ? [...HARMLESS, "bad-claim", "bad-commit", "unverified-admin"]
    : HARMLESS;
  const heard = heardOf(people);
  // Of two rooms under one name each hears what it cannot read, also after one has ended.
  const isApart = (person: Person) => isThere(person) && !heard.includes(person);
  const isRunByKicked = (person: Person) =>
    person.unwanted && adminOf(person.program) === person.name;
  if (people.some((person) => isApart(person) || isRunByKicked(person))) return null;
  for (const program of programsOf(people)) {
    const alarm = program.every("warning").find(({ code, message }) =>
      !harmless.includes(code) && !(code === "bad-message" && UNSURE.test(message))
    );
    if (alarm !== undefined) return `${program.name}: ${alarm.code}, ${alarm.message}`;
    const missing = program.every("missing").find(({ from }) =>
      !wereApartTooLong(people, program.name, from) && !leftAtOnce(people, program.name, from) &&
      toldMissing(program, from) > goneWithItsProgram(played, from)
    );
    if (missing !== undefined) {
      return `${program.name}: missing ${missing.count} of ${missing.from}`;
    }
  }
  return null;
}

/** Nothing was lost: then everybody's badge says so. */
function allAgree({ people, lossy, attacked }: Played): string | null {
  const live = heardOf(people).filter(({ program }) => program.toldAt("joined") !== null);
  if (lossy || attacked || live.length < 2) return null;
  for (const { program, name } of live) {
    const told = program.every("agreement").at(-1);
    if (told === undefined || told.agree !== live.length || told.of !== live.length) {
      return `${name}: ${told?.agree} of ${told?.of}, ${live.length} are there`;
    }
  }
  return null;
}

// ---- what they look at

/** It knocks with an invite of an admin before: that one's invites are over. */
function hasOldInvite(program: Program): boolean {
  return program.toldAt("joined") === null &&
    program.every("warning").some(({ code }) => code === "unverified-admin");
}

/** The epoch in which a program sent a text; `undefined` if it did not. */
function epochOf(program: Program, text: string): number | undefined {
  let epoch: number | undefined;
  for (const e of program.events) {
    if (e.type === "joined" || e.type === "epoch") epoch = e.epoch;
    if (e.type === "sent" && e.text === text) return epoch;
  }
  return undefined;
}

/**
 * The first epoch of which it has keys: the one that it came into last, and nothing before it, unless it was the admin
 * until then and kept them.
 */
function cameInto({ events, name }: Program): number {
  let first = Infinity;
  let ranIt = false;
  for (const e of events) {
    if (e.type !== "joined" && e.type !== "epoch") continue;
    if (e.type === "joined" && !ranIt) first = e.epoch;
    ranIt = e.members.some((m) => m.admin && m.name === name);
  }
  return first;
}

/** Those whose program runs, and is in the room or can ask to be. */
function heardOf(people: readonly Person[]): Person[] {
  const admin = adminAmong(people);
  return people.filter((person) => {
    // It threw the admin out without knowing that it was: it is not led back into that one's room.
    const isApart = adminOf(person.program) === person.name && person !== admin && admin?.unwanted;
    return isThere(person) && isApart !== true && !isUnheard(person.program, admin?.program);
  });
}

/**
 * It missed a kick, and asks to come in anew with the room secret before that, of an admin that has never had that one:
 * somebody who came after the kick, and took over. Nothing of it can be read there; it needs an invite.
 */
function isUnheard({ keysNow }: Program, admin: Program | undefined): boolean {
  const theirs = admin?.keysNow;
  if (keysNow === undefined || keysNow.current !== null || theirs === undefined) return false;
  if (!admin?.every("epoch").some((e) => e.reason === "claim" || e.reason === "hand-over")) {
    return false;
  }
  const { otherSeals } = theirs as unknown as { otherSeals(): { secret: Uint8Array }[] };
  return [{ secret: theirs.secret }, ...otherSeals.call(theirs)]
    .every(({ secret }) => secret.toHex() !== keysNow.secret.toHex());
}

/** Who was in the epoch in which a program sent a text; `undefined` if it did not. */
function audienceOf(program: Program, text: string): readonly string[] | undefined {
  let members: readonly string[] = [];
  for (const e of program.events) {
    if (e.type === "joined" || e.type === "epoch") members = e.members.map(({ name }) => name);
    if (e.type === "sent" && e.text === text) return members;
  }
  return undefined;
}

function programsOf(people: readonly Person[]): Program[] {
  return people.flatMap(({ before, program }) => [...before, program]);
}
