import * as v from "valibot";

/**
 * The events of `--ui json` as schemas: what docs/JSON.md promises, in a form that a test can hold
 * against the code (`session/notice.ts`) and against what is emitted. A reader of events written in
 * TypeScript can use them too; unknown fields pass.
 */

const text = v.string();
const count = v.pipe(v.number(), v.integer());
const flag = v.boolean();
/** An Ed25519 public key. */
const identity = v.pipe(text, v.hexadecimal(), v.length(64));
const roomId = v.pipe(text, v.hexadecimal(), v.length(32));
const messageId = v.pipe(text, v.hexadecimal(), v.length(32));
const time = v.pipe(text, v.isoTimestamp());

const via = v.picklist(["founder", "invite", "shared-link", "approved", "known"]);

const Person = v.object({ name: text, identity });
const people = v.pipe(v.array(Person), v.readonly());

const Member = v.object({
  name: text,
  identity,
  fingerprint: text,
  via,
  verified: flag,
  admin: flag,
  deputy: flag,
  present: flag,
});
const members = v.pipe(v.array(Member), v.readonly());

const inRoom = { room: text, roomId };
const texts = v.pipe(v.array(text), v.readonly());

const epochReason = v.picklist([
  "founded",
  "join",
  "leave",
  "kick",
  "gone",
  "rekey",
  "hand-over",
  "claim",
]);

const warningCode = v.picklist([
  "gap",
  "replay",
  "too-far",
  "fork",
  "rollback",
  "bad-signature",
  "bad-message",
  "unknown-sender",
  "bad-commit",
  "stale-membership",
  "two-devices",
  "unsupported",
  "unverified-admin",
  "bad-claim",
  "disagreement",
  "invite-on-command-line",
]);

/** The fields of each event beside `at`, by `type`. */
export const NOTICE_SCHEMAS = {
  "hello": v.object({ type: v.literal("hello"), schema: v.literal(1), version: text, role: text }),
  "ready": v.object({
    type: v.literal("ready"),
    host: text,
    port: count,
    listening: texts,
    link: text,
    pin: identity,
    fingerprint: text,
    metrics: v.exactOptional(text),
    access: v.exactOptional(text),
  }),
  "server-key": v.object({
    type: v.literal("server-key"),
    state: v.picklist(["announced", "changed"]),
    pin: identity,
    fingerprint: text,
    from: v.exactOptional(time),
    link: v.exactOptional(text),
  }),
  "stopping": v.object({ type: v.literal("stopping"), reason: text }),
  "info": v.object({ type: v.literal("info"), text }),
  "connected": v.object({ type: v.literal("connected"), host: text, port: count, pin: identity }),
  "disconnected": v.object({ type: v.literal("disconnected"), code: text, message: text }),
  "reconnecting": v.object({ type: v.literal("reconnecting"), attempt: count, inMs: v.number() }),
  "reconnected": v.object({ type: v.literal("reconnected") }),
  "invite": v.object({
    type: v.literal("invite"),
    ...inRoom,
    invite: text,
    url: text,
    uses: count,
    expires: time,
  }),
  "join-request": v.object({
    type: v.literal("join-request"),
    ...inRoom,
    request: text,
    name: text,
    identity,
    fingerprint: text,
  }),
  "waiting": v.object({
    type: v.literal("waiting"),
    ...inRoom,
    reason: v.picklist(["no-admin", "no-answer", "asked"]),
  }),
  "joined": v.object({
    type: v.literal("joined"),
    ...inRoom,
    me: Person,
    members,
    epoch: count,
    safetyCode: text,
  }),
  "member-joined": v.object({
    type: v.literal("member-joined"),
    ...inRoom,
    name: text,
    identity,
    via,
    fingerprint: text,
  }),
  "member-left": v.object({
    type: v.literal("member-left"),
    ...inRoom,
    name: text,
    identity,
    reason: v.picklist(["left", "kicked", "gone", "replaced"]),
  }),
  "presence": v.object({
    type: v.literal("presence"),
    ...inRoom,
    name: text,
    identity,
    present: flag,
  }),
  "epoch": v.object({
    type: v.literal("epoch"),
    ...inRoom,
    epoch: count,
    reason: epochReason,
    members,
    safetyCode: text,
  }),
  "members": v.object({
    type: v.literal("members"),
    ...inRoom,
    epoch: count,
    members,
    safetyCode: text,
  }),
  "message": v.object({
    type: v.literal("message"),
    ...inRoom,
    id: messageId,
    from: text,
    identity,
    text,
    sentAt: time,
    late: v.exactOptional(v.boolean()),
    authorGone: v.exactOptional(v.boolean()),
  }),
  "sent": v.object({
    type: v.literal("sent"),
    ...inRoom,
    id: messageId,
    text,
    sentAt: time,
    ref: v.exactOptional(text),
  }),
  "pending": v.object({
    type: v.literal("pending"),
    ...inRoom,
    id: messageId,
    text,
    ref: v.exactOptional(text),
  }),
  "verified": v.object({ type: v.literal("verified"), ...inRoom, members: people }),
  "warning": v.object({
    type: v.literal("warning"),
    code: warningCode,
    message: text,
    room: v.exactOptional(text),
    roomId: v.exactOptional(roomId),
    from: v.exactOptional(text),
    identity: v.exactOptional(identity),
    count: v.exactOptional(count),
    author: v.exactOptional(Person),
    evidence: v.exactOptional(texts),
  }),
  "repaired": v.object({ type: v.literal("repaired"), ...inRoom, from: text, identity, count }),
  "missing": v.object({ type: v.literal("missing"), ...inRoom, from: text, identity, count }),
  "agreement": v.object({
    type: v.literal("agreement"),
    ...inRoom,
    agree: count,
    of: count,
    differ: people,
    behind: people,
    silent: people,
  }),
  "ask": v.object({ type: v.literal("ask"), ref: text, question: text, choices: texts }),
  "withdrawn": v.object({ type: v.literal("withdrawn"), ref: text, question: text }),
  "ok": v.object({ type: v.literal("ok"), ref: text }),
  "error": v.object({
    type: v.literal("error"),
    code: text,
    message: text,
    ref: v.exactOptional(text),
  }),
  "bye": v.object({ type: v.literal("bye"), reason: text, exitCode: count }),
} as const;

/** The fields of any event beside `at`. */
export type EventFields = v.InferOutput<(typeof NOTICE_SCHEMAS)[keyof typeof NOTICE_SCHEMAS]>;

/** One event as it is printed: a notice with the time at which it was. */
export const JsonEvent: v.GenericSchema<unknown, EventFields & { at: string }> = v.intersect([
  v.variant("type", Object.values(NOTICE_SCHEMAS)),
  v.object({ at: time }),
]);

const handle = v.pipe(text, v.hexadecimal(), v.length(32));

/** The fields beside `at` of what only `stm demo` tells; what its participants tell are notices. */
export const DEMO_SCHEMAS = {
  "relay-frame": v.object({
    type: v.literal("relay-frame"),
    ms: count,
    connection: count,
    direction: v.picklist(["in", "out"]),
    kind: text,
    bytes: count,
    head: text,
    roomId: v.exactOptional(roomId),
    fromHandle: v.exactOptional(handle),
    toHandle: v.exactOptional(handle),
  }),
  "summary": v.object({
    type: v.literal("summary"),
    ok: flag,
    problem: v.exactOptional(text),
    waitingFor: texts,
    ms: count,
    relayBytes: count,
    framesIn: count,
    framesOut: count,
    searchedFor: count,
    foundAtRelay: texts,
    foundAtMembers: count,
  }),
} as const;

/** The fields beside `at` of what only `stm doctor` and `stm server doctor` tell. */
export const DOCTOR_SCHEMAS = {
  "check": v.object({
    type: v.literal("check"),
    check: text,
    verdict: v.picklist(["ok", "warn", "fail"]),
    text,
    remedy: v.exactOptional(text),
  }),
} as const;
