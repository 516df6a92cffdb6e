import assert from "node:assert/strict";
import fc from "fast-check";
import { nameKey } from "../../src/wire/name.ts";
import { AdminStage } from "../support/admin_stage.ts";
import { orders } from "../support/pure_step.ts";
import { assertProperty } from "../support/property.ts";
import { handleOf, identityOf } from "../support/session_stage.ts";

/** What the test knows beside the role: what became of every request, and who was kicked. */
class Model {
  readonly stage = AdminStage.founded({ graceMs: 5000, rekeyEveryMs: 60_000 });
  /** Requests whose fate is open, and whose identity has no newer one. */
  readonly open = new Map<string, string>();
  readonly ends = new Map<string, number>();
  readonly invites: string[] = [];
  /** Kicked, and not admitted by the person since. */
  readonly kicked = new Set<string>();
  step: "make" | "save" | "publish" = "make";
  #seen = 0;

  /** After every action. */
  check(): void {
    const { stage } = this;
    for (const effect of stage.all.slice(this.#seen)) {
      if (effect.kind === "deny") this.end(effect.request);
      if (effect.kind === "make-commit") {
        for (const { request } of effect.adds) this.end(request);
        const leaves = effect.removes.map((r) => r.leaf);
        assert.equal(new Set(leaves).size, leaves.length, "a leaf is removed twice");
        const there = new Set(stage.room.members.map((m) => m.leaf));
        assert.ok(leaves.every((leaf) => there.has(leaf) && leaf !== 0));
      }
    }
    this.#seen = stage.all.length;
    const { admin, room } = stage;
    assert.equal(admin.making !== null, stage.making !== null, "the commit on its way is lost");
    for (const invite of admin.invites) assert.ok(invite.usesLeft >= 0);
    for (const identity of admin.barred) {
      assert.ok(!admin.known.includes(identity), "somebody kicked is known");
      assert.ok(
        !admin.adds.some((a) => a.identity === identity),
        "somebody kicked is on the way in",
      );
    }
    assert.deepEqual([...this.kicked].sort(), [...admin.barred].sort());
    const keys = room.members.map((m) => nameKey(m.name));
    assert.equal(new Set(keys).size, keys.length, "two members have one name");
    const identities = room.members.map((m) => m.identity);
    assert.equal(new Set(identities).size, identities.length, "one identity has two leaves");
    // Nobody is lost: who is not decided upon is on exactly one of the lists.
    for (const [request, identity] of this.open) {
      const lists = [...admin.requests, ...admin.adds].filter((r) => r.request === request);
      assert.equal(lists.length, 1, `${request} of ${identity} is on ${lists.length} lists`);
    }
  }

  end(request: string): void {
    const ends = (this.ends.get(request) ?? 0) + 1;
    this.ends.set(request, ends);
    assert.equal(ends, 1, `${request} was answered twice`);
    this.open.delete(request);
  }

  ask(name: string, identity: string, invite: string | null): void {
    for (const [request, other] of this.open) if (other === identity) this.open.delete(request);
    const next = `r${Number(this.stage.lastRequest.slice(1)) + 1}`;
    this.open.set(next, identity);
    this.stage.asks(name, { identity, invite, handle: handleOf(5000 + Number(next.slice(1))) });
  }

  /** Commits and whatever they cause are carried to their end. */
  settle(): void {
    for (let i = 0; i < 10 && this.stage.making !== null; i++) {
      if (this.step === "make") this.stage.made();
      if (this.step !== "publish") this.stage.saved();
      this.step = "make";
      this.stage.published();
      this.check();
    }
    assert.equal(this.stage.making, null, "commits without end");
  }
}

const NAMES = ["fox", "FÓX", "elk", "bat", "cat"];
const PEOPLE = ["a", "b", "c", "d", "e"].map(identityOf);
const who = fc.nat({ max: PEOPLE.length - 1 });

/** One thing that happens. */
class Act implements fc.Command<object, Model> {
  constructor(private readonly what: string, private readonly act: (model: Model) => void) {}
  check = () => true;
  run(_: object, model: Model): void {
    this.act(model);
    model.check();
  }
  toString = () => this.what;
}

const commands = [
  fc.tuple(fc.nat({ max: NAMES.length - 1 }), who, fc.option(fc.nat({ max: 5 }))).map((
    [n, i, inv],
  ) =>
    new Act(`ask ${NAMES[n]} ${i} ${inv}`, (m) => {
      const invite = inv === null || m.invites.length === 0
        ? null
        : m.invites[inv % m.invites.length] ?? null;
      m.ask(NAMES[n] ?? "", PEOPLE[i] ?? "", invite);
    })
  ),
  fc.tuple(fc.constantFrom("admit", "deny"), fc.nat({ max: 3 })).map(([verb, i]) =>
    new Act(`${verb} ${i}`, (m) => {
      const request = m.stage.admin.requests[i];
      if (request === undefined) return;
      const effects = m.stage.commands(`/${verb} ${request.request}`);
      const denied = orders(effects, "deny").length > 0;
      if (verb === "admit" && !denied) m.kicked.delete(request.identity);
    })
  ),
  who.map((i) =>
    new Act(`kick ${i}`, (m) => {
      const member = m.stage.room.members[i];
      if (member === undefined || member.leaf === 0) return;
      m.kicked.add(member.identity);
      m.stage.commands(`/kick "${member.name}"`);
    })
  ),
  who.map((i) =>
    new Act(`leave ${i}`, (m) => {
      const member = m.stage.room.members[i];
      if (member !== undefined && member.leaf !== 0) m.stage.hears(member.leaf, "leave");
    })
  ),
  who.map((i) =>
    new Act(`away ${i}`, (m) => {
      const member = m.stage.room.members[i];
      if (member === undefined || member.leaf === 0) return;
      m.stage.hears(member.leaf);
      m.stage.vanishes(member.leaf);
    })
  ),
  fc.integer({ min: 1, max: 3 }).map((uses) =>
    new Act(`invite ${uses}`, (m) => m.invites.push(m.stage.invites(uses, 20_000)))
  ),
  fc.constant(new Act("rekey", (m) => m.stage.commands("/rekey"))),
  fc.constantFrom(1000, 6000, 60_000).map((ms) => new Act(`tick ${ms}`, (m) => m.stage.ticks(ms))),
  fc.constant(
    new Act("the commit goes on", (m) => {
      if (m.stage.making === null) return;
      if (m.step === "make") {
        m.stage.made();
        m.step = "save";
      } else if (m.step === "save") {
        m.stage.saved();
        m.step = "publish";
      } else {
        m.step = "make";
        m.stage.published();
      }
    }),
  ),
];

Deno.test("whatever happens in whatever order, one commit at a time takes everybody in or out", () => {
  assertProperty(
    fc.property(fc.commands(commands, { size: "+1", maxCommands: 60 }), (acts) => {
      const model = new Model();
      fc.modelRun(() => ({ model: {}, real: model }), acts);
      model.settle();
      // Now that all is quiet, who is in is who was not removed.
      for (const member of model.stage.room.members) {
        assert.ok(!model.stage.admin.barred.includes(member.identity), "somebody kicked is in");
        assert.ok(!member.left, "somebody who left is in");
      }
      assert.deepEqual([model.stage.admin.adds, model.stage.admin.removes], [[], []]);
    }),
    200,
  );
});
