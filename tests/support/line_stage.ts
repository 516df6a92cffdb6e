import type { UserIntent } from "../../src/session/intent.ts";
import type { Notice } from "../../src/session/notice.ts";
import type { RoomView, SessionView } from "../../src/session/view.ts";
import type { Face } from "../../src/ui/face.ts";
import { lineFace, type LineFaceOptions } from "../../src/ui/line.ts";
import { FakeTerminal, settle } from "./fake_terminal.ts";
import { Screen } from "./screen.ts";

/** Local time, so that goldens do not depend on the machine's zone. */
export const NOON = new Date(2026, 4, 1, 12, 34);

export const OWL = { name: "owl", identity: "aa".repeat(32) };
export const FOX = { name: "fox", identity: "bb".repeat(32) };
export const HEN = { name: "hen", identity: "cc".repeat(32) };
export const IN_ROOM = { room: "book club", roomId: "0".repeat(32) };
export const CODE =
  "abandon ability able about above absent absorb abstract absurd abuse access accident";

export const MEMBERS = [
  {
    ...OWL,
    fingerprint: "1f3a 9c20",
    via: "founder",
    verified: true,
    admin: true,
    deputy: false,
    present: true,
  },
  {
    ...FOX,
    fingerprint: "c4e0 11d7",
    via: "invite",
    verified: false,
    admin: false,
    deputy: false,
    present: true,
  },
  {
    ...HEN,
    fingerprint: "77be 04d1",
    via: "known",
    verified: false,
    admin: false,
    deputy: false,
    present: false,
  },
] as const;

export function roomView(name = "book club", unread = 0): RoomView {
  return {
    ...IN_ROOM,
    name,
    phase: "joined",
    epoch: 4,
    safetyCode: CODE,
    members: MEMBERS,
    requests: [{ request: "r1", name: "red fox" }],
    unread,
    pending: 0,
    agreement: null,
  };
}

export function sessionView(changes: Partial<SessionView> = {}): SessionView {
  return {
    me: FOX,
    role: "client",
    connection: "connected",
    rooms: [roomView()],
    front: "book club",
    ...changes,
  };
}

export function message(text: string, from: { name: string; identity: string } = OWL): Notice {
  return {
    type: "message",
    ...IN_ROOM,
    id: "1".repeat(32),
    from: from.name,
    identity: from.identity,
    text,
    sentAt: NOON.toISOString(),
  };
}

/** A line face whose terminal is an emulator. */
export class LineStage {
  readonly terminal: FakeTerminal;
  readonly screen: Screen;
  readonly face: Face;
  readonly intents: UserIntent[] = [];
  #shown = 0;
  #taking: Promise<void>;

  constructor(options: Partial<LineFaceOptions> & { columns?: number; rows?: number } = {}) {
    const { columns = 80, rows = 24, ...face } = options;
    this.terminal = new FakeTerminal({ columns, rows });
    this.screen = new Screen(columns, rows);
    this.face = lineFace({ terminal: this.terminal, color: false, now: () => NOON, ...face });
    this.face.view(sessionView());
    this.#taking = this.#take();
  }

  async #take(): Promise<void> {
    for await (const intent of this.face.intents()) this.intents.push(intent);
  }

  /** Lets the face do what it has to and the emulator draw it. */
  async drawn(): Promise<void> {
    await settle();
    const written = this.terminal.written.slice(this.#shown);
    this.#shown += written.length;
    await this.screen.write(written);
  }

  async type(input: string): Promise<void> {
    this.terminal.type(input);
    await this.drawn();
  }

  async notice(...notices: Notice[]): Promise<void> {
    for (const notice of notices) this.face.notice(notice);
    await this.drawn();
  }

  /** As the kernel does it: the window first, then the signal. */
  async resize(columns: number, rows: number): Promise<void> {
    this.screen.resize(columns, rows);
    this.terminal.resize(columns, rows);
    await this.drawn();
  }

  async close(): Promise<void> {
    await this.face.close();
    await this.#taking;
    await this.drawn();
    this.screen.close();
  }
}
