/**
 * An admin's session as plain states and events. In the place of the key ring stands a count of leaves: a commit
 * that was ordered becomes an epoch when the test says so.
 */
import {
  addAdminRoom,
  type AdminOptions,
  adminRole,
  type AdminRoom,
  type AdminState,
  DEFAULT_ADMIN_OPTIONS,
  initialAdminState,
} from "../../src/admin/role.ts";
import type { Effect } from "../../src/session/effect.ts";
import type { EventBody, RosterEntry } from "../../src/session/event.ts";
import {
  initialState,
  memberByLeaf,
  type MissingNumbers,
  roomById,
  type RoomState,
} from "../../src/session/state.ts";
import { orders, Play } from "./pure_step.ts";
import { handleOf, identityOf, MY_HANDLE, ROOM } from "./session_stage.ts";

/** An order to make a commit. */
export type MakeCommit = Extract<Effect, { kind: "make-commit" }>;

/** Who asked, by request. */
interface Asked {
  readonly name: string;
  readonly identity: string;
}

/** An admin named owl. */
export class AdminStage extends Play<AdminState> {
  #requests = 0;
  #leaves = 0;
  #ids = 0;
  #invites = 0;
  readonly asked = new Map<string, Asked>();
  /** Requests whose people went away: the key ring has nobody to welcome. */
  readonly vanished = new Set<string>();
  /** The commit on its way, as it was ordered. */
  making: MakeCommit | null = null;

  constructor(
    options: Partial<AdminOptions> = {},
    kept?: Parameters<typeof addAdminRoom>[3],
    room = ROOM,
  ) {
    const session = initialState({ name: "owl", identity: identityOf("owl") });
    const all = { ...DEFAULT_ADMIN_OPTIONS, firstInvite: null, ...options };
    super(adminRole.step, addAdminRoom(initialAdminState(session), room, all, kept));
  }

  /** An admin that runs its room, in epoch 1. */
  static founded(...args: ConstructorParameters<typeof AdminStage>): AdminStage {
    const stage = new AdminStage(...args);
    stage.take({ kind: "connected", host: "127.0.0.1", port: 5000, pin: "07".repeat(32) });
    stage.take({ kind: "room-prepared", room: ROOM, name: "den" });
    stage.take({
      kind: "entered",
      room: ROOM,
      handle: MY_HANDLE,
      role: "owner",
      ownerPresent: true,
    });
    stage.finish();
    return stage;
  }

  override take(event: EventBody): readonly Effect[] {
    const effects = super.take(event);
    for (const order of orders(effects, "make-commit")) {
      if (this.making !== null) throw new Error("two commits are on their way");
      this.making = order;
    }
    return effects;
  }

  /** What the role knows of the room. */
  get admin(): AdminRoom {
    const room = this.state.rooms[0];
    if (room === undefined) throw new RangeError("there is no room");
    return room;
  }

  /** What the session knows of the room. */
  get room(): RoomState {
    const room = roomById(this.state.session, ROOM);
    if (room === undefined) throw new RangeError("there is no room");
    return room;
  }

  /** Names of the members, the admin first. */
  get names(): string[] {
    return this.room.members.map((m) => m.name);
  }

  /** The leaf of a member. */
  leafOf(name: string): number {
    const member = this.room.members.find((m) => m.name === name);
    if (member === undefined) throw new RangeError(`${name} is no member`);
    return member.leaf;
  }

  /** A bundle that verified. */
  asks(
    name: string,
    more: { invite?: string | null; identity?: string; handle?: string } = {},
  ): readonly Effect[] {
    const request = `r${++this.#requests}`;
    const identity = more.identity ?? identityOf(name);
    this.asked.set(request, { name, identity });
    return this.take({
      kind: "bundle-opened",
      room: ROOM,
      handle: more.handle ?? handleOf(1000 + this.#requests),
      request,
      name,
      identity,
      fingerprint: identity.slice(0, 32),
      invite: more.invite ?? null,
    });
  }

  /** How the last bundle's request is named. */
  get lastRequest(): string {
    return `r${this.#requests}`;
  }

  /** The key ring has made the commit. */
  made(): readonly Effect[] {
    return this.take({ kind: "commit-made", room: ROOM, epoch: this.room.epoch + 1 });
  }

  /** The store has it. */
  saved(): readonly Effect[] {
    return this.take({ kind: "commit-saved", room: ROOM, epoch: this.room.epoch + 1 });
  }

  /** It was published: its epoch is on. */
  published(): readonly Effect[] {
    const order = this.making;
    if (order === null) throw new Error("no commit is on its way");
    this.making = null;
    const added = order.adds.flatMap(({ request, via }): RosterEntry[] => {
      const asked = this.asked.get(request);
      if (asked === undefined || this.vanished.has(request)) return [];
      const { name, identity } = asked;
      return [{ leaf: ++this.#leaves, name, identity, fingerprint: identity.slice(0, 32), via }];
    });
    const { deputies } = order;
    const place = {
      room: ROOM,
      epoch: this.room.epoch + 1,
      adminLeaf: 0,
      deputies,
      safetyCode: "x",
    };
    if (order.reason === "founded") {
      const own = { leaf: 0, name: "owl", identity: identityOf("owl"), fingerprint: "o" };
      return this.take({
        kind: "joined",
        roomName: "den",
        myLeaf: 0,
        roster: [{ ...own, via: "founder" }, ...added],
        ...place,
      });
    }
    return this.take({
      kind: "epoch-began",
      reason: order.reason,
      added,
      removed: order.removes.map((removal) => ({
        ...removal,
        missing: 0,
        gaps: [],
        count: 0,
        fork: false,
      })),
      ...place,
    });
  }

  /** Carries the commit on its way to its end. */
  finish(): readonly Effect[] {
    return [...this.made(), ...this.saved(), ...this.published()];
  }

  /** Carries all commits to their end. */
  finishAll(): void {
    while (this.making !== null) this.finish();
  }

  /** Somebody asks, is admitted, and is in the room. */
  admits(...names: string[]): void {
    for (const name of names) {
      this.asks(name);
      this.commands(`/admit ${this.lastRequest}`);
    }
    this.finishAll();
  }

  /** An invite is made; its id. */
  invites(uses = 1, lifeMs = 3600_000): string {
    const invite = (++this.#invites).toString(16).padStart(16, "a");
    this.take({
      kind: "invite-made",
      room: ROOM,
      invite,
      url: `stm://x/#${invite}`,
      uses,
      expiresAt: this.at + lifeMs,
    });
    return invite;
  }

  /** The admin's person gives a command. */
  commands(line: string, more: { room?: string; ref?: string } = {}): readonly Effect[] {
    const id = (++this.#ids).toString(16).padStart(32, "0");
    return this.take({ kind: "intent", intent: { kind: "command", line, ...more }, id });
  }

  /** A verified message of a member. */
  hears(
    leaf: number,
    kind: "leave" | "heartbeat" = "heartbeat",
    handle = handleOf(leaf),
    gaps: readonly MissingNumbers[] = [],
  ) {
    return this.take({
      kind: "message",
      room: ROOM,
      handle,
      leaf,
      epoch: this.room.epoch,
      n: 0,
      gaps,
      content: kind === "leave" ? { kind } : { kind },
      skipped: 0,
      lost: 0,
      late: false,
      fork: false,
    });
  }

  /** The relay says that a member's connection is gone. */
  vanishes(leaf: number): readonly Effect[] {
    const handle = memberByLeaf(this.room, leaf)?.handle ?? handleOf(leaf);
    return this.take({ kind: "gone", room: ROOM, handle, reason: "closed" });
  }

  /** Time goes by, then a tick. */
  ticks(ms = 1000): readonly Effect[] {
    return this.after(ms).take({ kind: "tick" });
  }
}
