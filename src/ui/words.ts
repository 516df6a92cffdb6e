import type {
  AgreementView,
  EpochReason,
  MemberNotice,
  Notice,
  Person,
  Via,
} from "../session/notice.ts";
import { messages } from "../session/how_many.ts";
import { as, type Block, type Line, line, type Span, wholeLine } from "./block.ts";
import { cleanLine, cleanName, cleanText } from "./clean.ts";

/** What the wording depends on beside the notice itself. */
export interface WordsContext {
  /** The person in front of the screen; `null` before anything is known. */
  readonly me: Person | null;
  /** Whether to say which room a notice is about. */
  readonly manyRooms: boolean;
  /** For the times before lines, and to tell an old message. */
  readonly now: Date;
  /** Print the time before what happens in a room. */
  readonly times: boolean;
}

/** A sender's clock that differs by more than this is shown beside the time of arrival. Chosen. */
const OLD_MS = 10 * 60_000;

/**
 * What a notice says to a person, in plain words. Warnings begin with `! `, questions with `? `, so
 * that they stand out without colour. All that others wrote is cleaned here.
 *
 * @returns `null` for what a person need not read
 */
export function blockOf(notice: Notice, context: WordsContext): Block | null {
  const lines = linesOf(notice, context);
  if (lines === null) return null;
  return { lines, list: notice.type === "info" || notice.type === "members" };
}

function linesOf(notice: Notice, context: WordsContext): readonly Line[] | null {
  switch (notice.type) {
    case "hello":
      return [dim(`stm ${cleanLine(notice.version)}, ${cleanLine(notice.role)}`)];
    case "ready":
      return [
        line([`relay ready on ${notice.listening.map((at) => cleanLine(at)).join(" and ")}`]),
        wholeLine("server link: ", as(cleanLine(notice.link), "strong")),
        line(["fingerprint: ", cleanLine(notice.fingerprint)]),
      ];
    case "server-key":
      return serverKeyLines(notice);
    case "stopping":
      return [line([`stopping: ${cleanLine(notice.reason)}`])];
    case "info":
      return cleanText(notice.text).split("\n").map((text) => line([text], 2));
    case "connected":
      return [dim(`connected to ${hostPort(notice)}`)];
    case "disconnected":
      return [warning(`disconnected: ${cleanLine(notice.message)}`)];
    case "reconnecting":
      return [dim(`connecting again in ${seconds(notice.inMs)} (attempt ${notice.attempt})`)];
    case "reconnected":
      return [line([as("connected again", "good")])];
    case "invite":
      return [
        event(notice, context, [
          `invite for ${count(notice.uses, "person", "people")}, until ${
            dayAndTime(notice.expires)
          }:`,
        ]),
        wholeLine(as(cleanLine(notice.url), "strong")),
      ];
    case "join-request":
      return [
        event(notice, context, [
          as("? ", "strong"),
          personSpan(notice),
          as(" asks to join", "strong"),
          `, fingerprint ${cleanLine(notice.fingerprint)}`,
        ]),
        line(["  ", answerTo(notice)], 4),
      ];
    case "waiting":
      return [
        event(notice, context, [
          WAITING[notice.reason],
        ]),
      ];
    case "joined":
      return [
        line([
          as(`[${cleanName(notice.room)}] `, "strong"),
          `${count(notice.members.length, "member", "members")}: `,
          ...commaList(notice.members.map((member) => [
            personSpan(member),
            member.identity === notice.me.identity ? " (you)" : member.admin ? " (admin)" : "",
          ])),
          ` · epoch ${notice.epoch}`,
        ]),
        ...safetyCode(notice.safetyCode),
      ];
    case "member-joined":
      return [
        event(notice, context, [
          personSpan(notice),
          ` joined, ${VIA[notice.via]}; fingerprint ${cleanLine(notice.fingerprint)}`,
        ]),
      ];
    case "member-left":
      return [event(notice, context, [personSpan(notice), ` ${LEFT[notice.reason]}`])];
    case "presence":
      return [
        event(notice, context, [
          personSpan(notice),
          as(notice.present ? " is back" : " is away", "dim"),
        ]),
      ];
    case "epoch":
      return [
        event(notice, context, [
          as(`new room key: epoch ${notice.epoch}, ${EPOCH_REASON[notice.reason]}`, "dim"),
        ]),
      ];
    case "members":
      return [
        line([
          as(`[${cleanName(notice.room)}] `, "strong"),
          `${count(notice.members.length, "member", "members")} · epoch ${notice.epoch}`,
        ]),
        ...notice.members.map((member) => memberLine(member, context)),
        ...safetyCode(notice.safetyCode),
      ];
    case "message":
      return messageLines(notice, { name: notice.from, identity: notice.identity }, context);
    case "sent":
      return messageLines(notice, context.me ?? { name: "you", identity: "" }, context);
    case "pending":
      return messageLines(
        { ...notice, sentAt: context.now.toISOString(), pending: true },
        context.me ?? { name: "you", identity: "" },
        context,
      );
    case "verified":
      return [
        event(notice, context, [
          as("verified: ", "good"),
          ...commaList(notice.members.map((member) => [personSpan(member)])),
        ]),
      ];
    case "warning":
      return [
        event(notice, context, [as(`! ${cleanLine(notice.message)} (${notice.code})`, "warn")]),
      ];
    case "repaired":
      return [
        event(notice, context, [
          `${messages(notice.count)} of `,
          personSpan({ name: notice.from, identity: notice.identity }),
          " came late; nothing of it is missing now",
        ]),
      ];
    case "missing":
      return [
        event(notice, context, [
          as(`! ${messages(notice.count)} of `, "warn"),
          personSpan({ name: notice.from, identity: notice.identity }),
          as(" cannot be had any more", "warn"),
        ]),
      ];
    case "agreement":
      return [event(notice, context, agreementSpans(notice))];
    case "ask":
      return [
        line([
          as("? ", "strong"),
          as(cleanLine(notice.question), "strong"),
          ...(notice.choices.length > 0 ? [` [${notice.choices.map(cleanLine).join("/")}]`] : []),
        ]),
      ];
    case "withdrawn":
      return [dim(`no answer is needed any more: ${cleanLine(notice.question)}`)];
    case "ok":
      return null;
    case "error":
      return [warning(cleanLine(notice.message))];
    case "bye":
      return [
        notice.exitCode === 0
          ? dim(`bye: ${cleanLine(notice.reason)}`)
          : warning(cleanLine(notice.reason)),
      ];
  }
}

function agreementSpans(
  { agree, of, differ, behind, silent }: AgreementView,
): (Span | string)[] {
  const told = `${agree}/${of} see the same conversation`;
  if (agree === of) return [as(told, "good")];
  const open = of - agree - differ.length - behind.length - silent.length;
  return [
    open === of - agree ? told : as(`! only ${told}`, "warn"),
    ...named("another one: ", differ),
    ...named("messages are missing at: ", behind),
    ...named("not heard of lately: ", silent),
    ...(open > 0 ? [`; ${open} not compared yet`] : []),
  ];
}

function named(lead: string, people: readonly Person[]): (Span | string)[] {
  if (people.length === 0) return [];
  return [`; ${lead}`, ...commaList(people.map((person) => [personSpan(person)]))];
}

/** A line that stands out: what the face itself has to say against something. */
export function warning(text: string): Line {
  return line([as(`! ${text}`, "warn")]);
}

function dim(text: string): Line {
  return line([as(text, "dim")]);
}

/** A line about a room: the time, the room if there are several, then what happened. */
function event(
  notice: { readonly room?: string },
  context: WordsContext,
  spans: readonly (Span | string)[],
): Line {
  const time = context.times ? `${hoursAndMinutes(context.now)} ` : "";
  const room = context.manyRooms && notice.room !== undefined
    ? [as(`[${cleanName(notice.room)}] `, "strong")]
    : [];
  return line([as(time, "dim"), ...room, ...spans], time.length + 2);
}

const WAITING: Record<Extract<Notice, { type: "waiting" }>["reason"], string> = {
  "asked": "waiting: the admin has been asked to let you in",
  "no-admin": "waiting: no admin is there yet",
  "no-answer":
    "waiting: the admin is there and does not answer: the invite may be too old, ask for a new one",
};

/** Every line of a text but the first is indented, so that it cannot pass for another message. */
function messageLines(
  notice: {
    readonly room: string;
    readonly text: string;
    readonly sentAt: string;
    readonly late?: boolean;
    readonly authorGone?: boolean;
    readonly pending?: boolean;
  },
  from: Person,
  context: WordsContext,
): Line[] {
  const [first = "", ...rest] = cleanText(notice.text).split("\n");
  const sent = new Date(notice.sentAt);
  const old = Math.abs(context.now.getTime() - sent.getTime()) > OLD_MS
    ? [as(` (sent ${dayAndTime(notice.sentAt)})`, "dim")]
    : [];
  // It would read as an answer to what is above it.
  const late = notice.late === true ? [as(" (came late)", "warn")] : [];
  const gone = notice.authorGone === true ? [as(" (came after they were gone)", "warn")] : [];
  const waits = notice.pending === true ? [as(" (not sent yet)", "dim")] : [];
  const marks = [...old, ...late, ...gone, ...waits];
  const head = event(notice, context, [personSpan(from), ...marks, ": ", first]);
  const indent = " ".repeat(head.hang);
  // In one line (`plainText`) the sign is what separates them.
  return [head, ...rest.map((text) => line([as(`${indent}⏎ `, "dim"), text], head.hang + 2))];
}

function memberLine(member: MemberNotice, context: WordsContext): Line {
  const me = member.identity === context.me?.identity;
  const facts = [
    me ? "you" : "",
    member.admin ? "admin" : member.deputy ? "deputy" : "",
    me ? "" : member.verified ? "verified" : "not verified",
    VIA[member.via],
    member.present ? "" : "away",
  ].filter((fact) => fact !== "");
  return line([
    "  ",
    personSpan(member),
    `: ${facts.join(", ")}; `,
    as(cleanLine(member.fingerprint), "dim"),
  ], 4);
}

/** Two lines of six words, as they are read aloud. */
function safetyCode(code: string): Line[] {
  const words = cleanLine(code).split(" ").filter((word) => word !== "");
  return [
    line([as("safety code: ", "dim"), words.slice(0, 6).join(" ")], 13),
    line([" ".repeat(13), words.slice(6).join(" ")], 13),
  ];
}

/** The request instead of a name that cannot be typed as it is shown. */
function answerTo(notice: { readonly request: string; readonly name: string }): Span {
  const shown = cleanName(notice.name);
  const safe = shown === notice.name && !shown.includes('"');
  const name = !safe ? cleanLine(notice.request) : shown.includes(" ") ? `"${shown}"` : shown;
  return as(`/admit ${name} or /deny ${name}`, "strong");
}

function serverKeyLines(notice: Extract<Notice, { type: "server-key" }>): Line[] {
  const fingerprint = cleanLine(notice.fingerprint);
  if (notice.state === "changed") {
    return [line([
      `the relay has a new key, as it announced under its old one; its fingerprint is ${fingerprint}`,
    ])];
  }
  const from = notice.from === undefined ? "" : ` on ${cleanLine(notice.from).slice(0, 10)}`;
  return [line([
    `the relay will have a new key${from}, as it says under its key of now; stm will follow; ` +
    `its fingerprint will be ${fingerprint}`,
  ])];
}

/** A person's name in their colour. */
export function personSpan(person: Person): Span {
  return as(cleanName(person.name), { of: person.identity });
}

function commaList(items: readonly (readonly (Span | string)[])[]): (Span | string)[] {
  return items.flatMap((item, index) => index === 0 ? [...item] : [", ", ...item]);
}

function hostPort({ host, port }: { readonly host: string; readonly port: number }): string {
  const shown = cleanLine(host);
  return shown.includes(":") ? `[${shown}]:${port}` : `${shown}:${port}`;
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}

function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

function hoursAndMinutes(at: Date): string {
  return `${two(at.getHours())}:${two(at.getMinutes())}`;
}

function dayAndTime(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return cleanLine(iso);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${
    hoursAndMinutes(at)
  }`;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}

const VIA: Record<Via, string> = {
  "founder": "opened the room",
  "invite": "by invite",
  "shared-link": "by shared link",
  "approved": "let in by the admin",
  "known": "known from before",
};

const LEFT: Record<Extract<Notice, { type: "member-left" }>["reason"], string> = {
  "left": "left",
  "kicked": "was removed by the admin",
  "gone": "is gone: the connection was lost",
  "replaced": "was replaced by a newer session of the same identity",
};

const EPOCH_REASON: Record<EpochReason, string> = {
  "founded": "the room was opened",
  "join": "somebody joined",
  "leave": "somebody left",
  "kick": "somebody was removed",
  "gone": "somebody is gone",
  "rekey": "made anew",
  "hand-over": "the admin has handed over",
  "claim": "a deputy has taken over",
};
