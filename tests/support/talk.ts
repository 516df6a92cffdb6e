/**
 * A conversation of any number of participants, processes or not, and what issue 2 asks of it: every
 * message reaches every other member exactly once and in its sender's order, also while the epoch
 * changes; epochs and safety codes agree.
 */
import assert from "node:assert/strict";
import type { Chronicle } from "./chronicle.ts";
import type { EventFields } from "../../src/ui/json_schema.ts";

/** Somebody in a room, whatever it runs in. */
export interface Participant extends Pick<Chronicle, "until" | "textsOf" | "hasHeard"> {
  /** Its name in the room. */
  readonly name: string;
  /** What it was told so far. */
  readonly events: readonly EventFields[];
  say(text: string): void;
  /** Gives a slash command and waits for its answer. */
  command(line: string): Promise<{ readonly type: "ok" | "error" }>;
}

/** The room as a participant sees it: that of its last `joined` or `epoch`. */
export function roomOf({ events }: Participant): { epoch: number; code: string; names: string[] } {
  const last = events.findLast((e) => e.type === "joined" || e.type === "epoch");
  if (last?.type !== "joined" && last?.type !== "epoch") return { epoch: 0, code: "", names: [] };
  const names = last.members.map(({ name }) => name).sort();
  return { epoch: last.epoch, code: last.safetyCode, names };
}

/** Waits until everybody sees exactly these people in one epoch; its safety code is the same for all. */
export async function agree(people: readonly Participant[]): Promise<number> {
  const names = people.map(({ name }) => name).sort().join();
  for (const person of people) {
    await person.until(
      `members ${names}`,
      () => roomOf(person).names.join() === names || undefined,
    );
  }
  // A later epoch of the same people may be on its way to some.
  const newest = Math.max(...people.map((person) => roomOf(person).epoch));
  for (const person of people) {
    await person.until(`epoch ${newest}`, () => roomOf(person).epoch >= newest || undefined);
  }
  const [first, ...others] = people.map((person) => {
    const { epoch, code } = roomOf(person);
    return { epoch, code };
  });
  assert.ok(first !== undefined && first.code.split(" ").length === 12);
  for (const other of others) assert.deepEqual(other, first);
  return first.epoch;
}

/** Who said what, in order, and who had to hear it. */
export class Talk {
  /** Texts by the name of their sender. */
  readonly #said = new Map<string, string[]>();
  #over = false;
  #talking: Promise<void>[] = [];

  /** How many texts were said. */
  get count(): number {
    return [...this.#said.values()].reduce((sum, texts) => sum + texts.length, 0);
  }

  /** Says the next text of a participant. */
  say(person: Participant): string {
    const texts = this.#said.get(person.name) ?? [];
    const text = `${person.name} ${texts.length}`;
    this.#said.set(person.name, [...texts, text]);
    person.say(text);
    return text;
  }

  /** Each says one text after the other, each as soon as its neighbour has the one before. */
  begin(people: readonly Participant[]): void {
    this.#over = false;
    this.#talking = people.map(async (person, i) => {
      const neighbour = people[(i + 1) % people.length];
      assert.ok(neighbour !== undefined);
      while (!this.#over) await hears(neighbour, person, this.say(person));
    });
    // A failure is told by `end`; where another came first, nobody waits for this one.
    for (const talking of this.#talking) talking.catch(() => {});
  }

  /** Waits until everybody who talks has said `n` texts more. */
  async goOn(people: readonly Participant[], n: number): Promise<void> {
    for (const person of people) {
      const texts = (this.#said.get(person.name)?.length ?? 0) + n;
      await person.until(
        `${n} texts more`,
        () => (this.#said.get(person.name)?.length ?? 0) >= texts || undefined,
      );
    }
  }

  /** Ends what `begin` began. */
  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#talking);
  }

  /** Waits until each of `people` has all that the others said since `from`, and compares. */
  async check(people: readonly Participant[], speakers = people): Promise<number> {
    let delivered = 0;
    for (const person of people) {
      for (const speaker of speakers) {
        if (speaker === person) continue;
        const said = this.#said.get(speaker.name) ?? [];
        const last = said.at(-1);
        if (last !== undefined) await hears(person, speaker, last);
      }
    }
    for (const person of people) {
      for (const speaker of speakers) {
        const heard = person.textsOf(speaker.name);
        const said = speaker === person ? [] : this.#said.get(speaker.name) ?? [];
        assert.deepEqual(heard, said, `${person.name} heard ${speaker.name}`);
        delivered += heard.length;
      }
      const warnings = person.events.filter((e) =>
        e.type === "warning" && e.code !== "invite-on-command-line" || e.type === "missing"
      );
      assert.deepEqual(warnings, [], `${person.name} was warned`);
    }
    return delivered;
  }
}

async function hears(person: Participant, speaker: Participant, text: string): Promise<void> {
  await person.until(`"${text}" of ${speaker.name}`, () => person.hasHeard(text) || undefined);
}

/**
 * A whole conversation: all talk; then under the talk of some the key changes twice, one member is kicked and
 * one leaves with a last word.
 *
 * @param admin runs the room, and talks
 * @param people the others, at least 3, who have joined or are about to
 * @param some how many talk while the room changes
 * @returns the counts, for people to read
 */
export async function wholeConversation(
  admin: Participant,
  people: readonly Participant[],
  some = people.length,
): Promise<{ messages: number; deliveries: number; epochs: number }> {
  const [kicked, leaver, ...clients] = people;
  assert.ok(kicked !== undefined && leaver !== undefined && clients.length > 0);
  const talk = new Talk();
  await agree([admin, ...people]);
  for (const person of [admin, ...people]) for (let i = 0; i < 2; i++) talk.say(person);
  let deliveries = await talk.check([admin, ...people]);

  const rest = [admin, ...clients];
  const talkers = rest.slice(0, some);
  talk.begin(talkers);
  await talk.goOn(talkers, 2);
  for (const change of ["/rekey", `/kick ${kicked.name}`, "/rekey"]) {
    const { epoch } = roomOf(admin);
    assert.equal((await admin.command(change)).type, "ok", change);
    await admin.until("the next epoch", () => roomOf(admin).epoch > epoch || undefined);
    await talk.goOn(talkers, 2);
  }
  for (let i = 0; i < 3; i++) talk.say(leaver);
  assert.equal((await leaver.command("/leave")).type, "ok");
  await agree(rest);
  await talk.goOn(talkers, 2);
  await talk.end();
  deliveries = await talk.check(rest, [...rest, leaver]);
  const epochs = await agree(rest);
  for (const speaker of talkers) {
    const said = rest.find((p) => p !== speaker)?.textsOf(speaker.name) ?? [];
    const heard = kicked.textsOf(speaker.name);
    // What it heard is a beginning of what was said, and it did not hear the end.
    assert.deepEqual(heard, said.slice(0, heard.length));
    assert.ok(said.length >= heard.length + 2, "the kicked one heard what came later");
  }
  return { messages: talk.count, deliveries, epochs };
}
