/** Plays a pure step and holds it to being pure: the same in, the same out, and nothing changed in place. */
import assert from "node:assert/strict";
import type { Effect, Step } from "../../src/session/effect.ts";
import type { EventBody, SessionEvent } from "../../src/session/event.ts";
import type { Notice } from "../../src/session/notice.ts";

/** Freezes a plain value with all that it holds. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

/** One session: its state, its clock, and all the effects so far. */
export class Play<S> {
  /** Milliseconds since 1970. */
  at = 1_000_000;
  /** Every effect since the beginning, in order. */
  readonly all: Effect[] = [];
  state: S;

  constructor(private readonly step: (state: S, event: SessionEvent) => Step<S>, initial: S) {
    this.state = deepFreeze(initial);
  }

  /** Time goes by. */
  after(ms: number): this {
    this.at += ms;
    return this;
  }

  /** Takes one event twice, from the same frozen state; what it ordered. */
  take(body: EventBody): readonly Effect[] {
    const event: SessionEvent = deepFreeze({ ...body, at: this.at });
    const first = deepFreeze(this.step(this.state, event));
    const second = this.step(this.state, event);
    assert.deepEqual(second, first, "the same event in the same state was taken differently");
    this.state = first.state;
    this.all.push(...first.effects);
    return first.effects;
  }
}

/** The notices among effects. */
export function notices(effects: readonly Effect[]): Notice[] {
  return effects.flatMap((e) => e.kind === "notice" ? [e.notice] : []);
}

/** The notices of a type. */
export function said<T extends Notice["type"]>(
  effects: readonly Effect[],
  type: T,
): Extract<Notice, { type: T }>[] {
  return notices(effects).filter((n): n is Extract<Notice, { type: T }> => n.type === type);
}

/** The orders of a kind. */
export function orders<K extends Effect["kind"]>(
  effects: readonly Effect[],
  kind: K,
): Extract<Effect, { kind: K }>[] {
  return effects.filter((e): e is Extract<Effect, { kind: K }> => e.kind === kind);
}

/** What effects are, in a word each: the type of a notice, the kind of an order. */
export function outline(effects: readonly Effect[]): string[] {
  return effects.map((e) =>
    e.kind === "notice"
      ? e.notice.type
      : e.kind === "seal-and-send"
      ? `send ${e.message.kind} ${e.epoch}/${e.n}`
      : e.kind
  );
}
