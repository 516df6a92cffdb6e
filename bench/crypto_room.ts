/** A room of many members for measurements: real keys, all made by the admin's own code, nothing on a wire. */
import type { PublishedCommit } from "../src/crypto/admin_keys.ts";
import { type Person, Story } from "../tests/support/room_story.ts";

/** Bundles that the admin keeps at once: more than that go in by several commits. */
const AT_ONCE = 256;

/** A room whose members exist for the admin; of most of them nobody plays the part. */
export class BenchRoom {
  /** The members that were admitted last, who have seen nothing of the room yet. */
  newcomers: readonly Person[] = [];
  #members = 1;

  private constructor(readonly story: Story) {}

  /** A room with its admin. */
  static async found(): Promise<BenchRoom> {
    return new BenchRoom(await Story.found());
  }

  /** The admin among them. */
  get members(): number {
    return this.#members;
  }

  /** Admits people until there are so many members, in as few commits as can be; the last of those. */
  async growTo(members: number): Promise<PublishedCommit | null> {
    let published: PublishedCommit | null = null;
    while (this.#members < members) {
      const count = Math.min(AT_ONCE, members - this.#members);
      const persons: Person[] = [];
      for (let i = 0; i < count; i++) {
        persons.push(await this.story.person(`member ${this.#members + i}`));
      }
      published = await this.admit(persons);
    }
    return published;
  }

  /** Admits people in one commit, and delivers nothing of it. */
  async admit(persons: readonly Person[]): Promise<PublishedCommit> {
    const { story } = this;
    const adds = [];
    for (const person of persons) {
      adds.push({ request: await story.knocks(person), via: "approved" as const });
    }
    const nowS = Math.floor(story.nowMs / 1000);
    await story.admin.make({ reason: "join", adds, removes: [] }, nowS);
    const published = story.admin.publish(nowS);
    this.newcomers = persons;
    this.#members += persons.length;
    story.sent.length = 0;
    return published;
  }

  /** A new epoch without a change: what is to be sent. */
  async rekey(): Promise<PublishedCommit> {
    const { story } = this;
    const nowS = Math.floor(story.nowMs / 1000);
    await story.admin.make({ reason: "rekey", adds: [], removes: [] }, nowS);
    return story.admin.publish(nowS);
  }

  /** What a commit has for one person alone: its welcome or its wrap. */
  payloadFor(published: PublishedCommit, person: Person): Uint8Array<ArrayBuffer> {
    const name = person.handle.toHex();
    const payload = published.direct.find(({ to }) => to.toHex() === name)?.payload ??
      published.welcomes.find(({ to }) => to.toHex() === name)?.seal()[0];
    if (payload === undefined) throw new Error(`there is nothing for ${person.name}`);
    return payload;
  }
}
