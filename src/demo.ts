/**
 * `stm demo`: the whole of stm in one process, within seconds, on real TLS sockets of 127.0.0.1.
 *
 * 1. the relay, with a tap between it and its sockets (`demo_relay.ts`);
 * 2. an admin and two clients, the real ones (`demo_person.ts`), play the script below: every step
 *    waits for what the one before must have caused, so their order is always the same;
 * 3. everything that the tap recorded is searched for what they said (`demo_search.ts`).
 */
import { DEFAULT_ADMIN_OPTIONS } from "./admin/role.ts";
import { runAdmin } from "./admin/main.ts";
import { runClient } from "./client/main.ts";
import { concat, sha256 } from "./crypto/primitives.ts";
import type { ParticipantOptions } from "./driver/participant.ts";
import { type Audience, DemoPerson, type NoticeOf } from "./demo_person.ts";
import { type DemoRelay, startDemoRelay, Tap } from "./demo_relay.ts";
import { keyNeedle, type Needle, search, textNeedle } from "./demo_search.ts";
import { type DemoShow, jsonShow, lineShow } from "./demo_show.ts";
import { stopAtSignals } from "./server/main.ts";
import { ListenError } from "./transport/listen.ts";
import { ServerKeyError } from "./transport/server_key.ts";
import { colorDepth } from "./ui/colors.ts";
import { OutputQueue } from "./ui/output.ts";
import { processTerminal } from "./ui/terminal.ts";
import { fromHex, toHex } from "./wire/ids.ts";
import { formatAddress, formatLink } from "./wire/link_url.ts";

const ROOM = "book club";
/** Longer than `owl`, so that chance cannot put them into the relay's bytes (`demo_search.ts`). */
const NAMES = { owl: "barn owl", fox: "red fox", bat: "fruit bat" } as const;
type Label = keyof typeof NAMES;
const CAST: readonly Label[] = ["owl", "fox", "bat"];

interface Said {
  readonly by: Label;
  readonly text: string;
}

const WITH_BAT: readonly Said[] = [
  { by: "owl", text: "Welcome to the book club! Who has finished chapter three?" },
  { by: "fox", text: "I have. It was the lighthouse keeper all along." },
  { by: "bat", text: "No spoilers, please! I am still on page ten." },
];
const GOODBYE: Said = {
  by: "bat",
  text: "It is getting light, I have to go. Good day to you two!",
};
const WITHOUT_BAT: readonly Said[] = [
  { by: "owl", text: "We have a new key now. Bat cannot read this any more." },
  { by: "fox", text: "Then I can say it: in the end the lighthouse was empty." },
];
const ALL_SAID = [...WITH_BAT, GOODBYE, ...WITHOUT_BAT];

/** Never reached unless something is broken: key generation takes seconds on a slow machine. */
const BOUND_MS = 90_000;

/**
 * Runs the demo to its end.
 *
 * @param ui `line` for people, `json` for docs/JSON.md, "The demo's events"
 * @param boundMs a demo that takes longer has failed
 * @returns 0 if all went as it should and the relay saw nothing readable, else 1
 */
export async function runDemo(
  ui: "line" | "json",
  version: string,
  boundMs: number = BOUND_MS,
): Promise<number> {
  const stop = stopAtSignals();
  const failed = Promise.withResolvers<string>();
  const output = new OutputQueue(
    processTerminal(),
    () => failed.resolve("nobody reads the output"),
  );
  const print = (text: string): void => void output.push(text, true);
  const late = setTimeout(
    () => failed.resolve(`it took longer than ${boundMs / 1000} seconds`),
    boundMs,
  );
  stop.stopped.then((signal) => failed.resolve(`ended by ${signal}`));
  const demo = new Demo(
    ui === "json" ? jsonShow(print) : lineShow(print, look()),
    version,
    failed.resolve,
  );
  try {
    return await demo.run(failed.promise);
  } finally {
    clearTimeout(late);
    stop.dispose();
    await output.drained();
  }
}

/** Colours only for a screen; NO_COLOR takes them away there too. */
function look(): Parameters<typeof lineShow>[1] {
  const screen = Deno.stdout.isTerminal();
  const env = {
    NO_COLOR: Deno.env.get("NO_COLOR"),
    TERM: Deno.env.get("TERM"),
    COLORTERM: Deno.env.get("COLORTERM"),
  };
  const columns = screen ? processTerminal().size().columns : 0;
  return {
    // A terminal that does not know its size says 0.
    columns: columns > 0 ? columns : 80,
    depth: colorDepth(env, screen),
  };
}

class Demo {
  readonly #show: DemoShow;
  readonly #version: string;
  readonly #tap: Tap;
  readonly #people: Readonly<Record<Label, DemoPerson>>;
  readonly #began = performance.now();
  #relay: Promise<DemoRelay | null> = Promise.resolve(null);
  readonly #awaited = new Set<string>();
  /** What a demo that has failed still says while it is taken down is of no interest. */
  #over = false;

  constructor(show: DemoShow, version: string, failed: (problem: string) => void) {
    this.#show = show;
    this.#version = version;
    this.#tap = new Tap((frame) => this.#over || show.frame(frame));
    const heard: Audience["heard"] = (...event) => this.#over || show.heard(...event);
    const audience = { heard, failed };
    this.#people = {
      owl: new DemoPerson("owl", audience),
      fox: new DemoPerson("fox", audience),
      bat: new DemoPerson("bat", audience),
    };
  }

  /** @param failed resolves with what makes it fail, if anything does before the script is through */
  async run(failed: Promise<string>): Promise<number> {
    this.#show.begins(this.#version);
    const script = this.#play().then(() => this.#unlikeScript(), startProblem);
    let problem = await Promise.race([script, failed]);
    const waitingFor = problem === null ? [] : this.#waitingFor();
    this.#over = problem !== null;
    if (this.#over) { for (const person of this.#everybody()) person.interrupt(); }
    // A relay that was just starting has a folder to remove.
    await (await this.#relay.catch(() => null))?.close();
    const searched = problem === null ? this.#search() : NOTHING_SEARCHED;
    if (searched.foundAtRelay.length > 0) problem = "the relay could read something";
    else if (searched.foundAtMembers < searched.searchedFor) problem = "the search is blind";
    const { frames } = this.#tap;
    const exitCode = problem === null ? 0 : 1;
    this.#show.ends(
      {
        problem,
        waitingFor,
        ms: this.#ms(),
        framesIn: frames.filter((f) => f.direction === "in").length,
        framesOut: frames.filter((f) => f.direction === "out").length,
        relayBytes: this.#tap.recorded().reduce((sum, stream) => sum + stream.length, 0),
        ...searched,
      },
      frames,
      exitCode,
    );
    return exitCode;
  }

  async #play(): Promise<void> {
    const { owl, fox, bat } = this.#people;
    const show = this.#show;
    const starting = startDemoRelay(this.#tap);
    this.#relay = starting;
    const relay = await this.#wait("the relay", starting);
    const { link } = relay;
    show.relayReady({
      host: link.host,
      port: link.port,
      listening: [formatAddress(link.host, link.port)],
      link: formatLink(link, sha256),
      pin: toHex(link.relayKey),
      fingerprint: relay.fingerprint,
    });
    show.makingKeys();
    this.#start(relay);
    await Promise.all(this.#everybody().map((p) => this.#wait(`${p.label}: its keys`, p.keysMade)));
    show.keysMade(this.#ms());

    show.scene("owl opens a room and makes an invite");
    await owl.until("the room", "joined");
    const invite = await owl.until("an invite", "invite");
    show.settled(["owl"]);

    show.scene("owl gives it to fox");
    fox.type(invite.url);
    await this.#join(fox, [owl], 2);
    show.scene("and to bat");
    bat.type(invite.url);
    await this.#join(bat, [owl, fox], 3);

    show.scene("they talk; each line is what that person's screen says");
    for (const said of WITH_BAT) await this.#say(said, this.#everybody());
    await this.#compareCodes();

    show.scene("bat leaves, so the others get a new key");
    await this.#say(GOODBYE, this.#everybody());
    bat.command("/leave");
    await Promise.all([this.#gone(bat), this.#epoch(owl, 4), this.#epoch(fox, 4)]);
    show.settled(["bat", "owl", "fox"]);

    show.scene("the two who are left go on");
    const { length } = bat.notices;
    for (const said of WITHOUT_BAT) await this.#say(said, [owl, fox]);
    if (bat.notices.length > length) throw new DemoError("bat was shown something after it left");
    show.remark("bat was shown nothing of it: epoch 4's key was made for owl and fox only");

    show.scene("everybody goes home");
    fox.command("/leave");
    await Promise.all([this.#gone(fox), this.#epoch(owl, 5)]);
    owl.command("/quit");
    await this.#gone(owl);
    show.settled(["fox", "owl"]);
  }

  #start({ link }: DemoRelay): void {
    const options = (label: Label): ParticipantOptions => ({
      version: this.#version,
      ui: "json",
      color: false,
      listen: true,
      name: NAMES[label],
      host: link.host,
      port: link.port,
      pin: undefined,
      acceptNew: false,
      ephemeral: true,
      retryMs: 0,
      profile: null,
    });
    const firstInvite = { uses: 2, lifeMs: 3_600_000 };
    this.#people.owl.start((ports) =>
      runAdmin({
        ...options("owl"),
        link,
        open: false,
        room: ROOM,
        admin: { ...DEFAULT_ADMIN_OPTIONS, firstInvite },
      }, ports)
    );
    for (const label of ["fox", "bat"] as const) {
      this.#people[label].start((ports) =>
        // The invite comes on standard input, when owl has made it.
        runClient({
          ...options(label),
          invites: ["-"],
          inviteFile: undefined,
          open: false,
          room: ROOM,
        }, ports)
      );
    }
  }

  async #join(newcomer: DemoPerson, others: readonly DemoPerson[], epoch: number): Promise<void> {
    await Promise.all([
      newcomer.until("the room", "joined", (n) => n.epoch === epoch),
      ...others.map((person) => this.#epoch(person, epoch)),
    ]);
    this.#show.settled([newcomer, ...others].map(({ label }) => label));
  }

  #epoch(person: DemoPerson, epoch: number): Promise<NoticeOf<"epoch">> {
    return person.until(`epoch ${epoch}`, "epoch", (n) => n.epoch === epoch);
  }

  async #say({ by, text }: Said, present: readonly DemoPerson[]): Promise<void> {
    const speaker = this.#people[by];
    speaker.say(text);
    await Promise.all(
      present.map((person) =>
        person === speaker
          ? person.until(`its own "${text}"`, "sent", (n) => n.text === text)
          : person.until(`"${text}"`, "message", (n) => n.text === text)
      ),
    );
    this.#show.settled([speaker.label, ...present.map(({ label }) => label)]);
  }

  async #compareCodes(): Promise<void> {
    this.#show.scene("they read the safety code to each other");
    const [code, ...others] = this.#everybody().map((person) => safetyCodes(person).at(-1));
    if (code === undefined || others.some((other) => other !== code)) {
      throw new DemoError("the safety codes differ");
    }
    this.#show.remark(`all three have the same: ${code}`);
    for (const person of this.#everybody()) person.command("/verify ok");
    await Promise.all(this.#everybody().map((p) => p.until("its own yes", "verified")));
    this.#show.settled(CAST);
  }

  /** What somebody was shown that the script does not have, or the other way round. */
  #unlikeScript(): string | null {
    for (const label of CAST) {
      const shown = this.#people[label].notices.flatMap((n) =>
        n.type === "sent"
          ? [`${NAMES[label]}: ${n.text}`]
          : n.type === "message"
          ? [`${n.from}: ${n.text}`]
          : []
      );
      const script = (label === "bat" ? [...WITH_BAT, GOODBYE] : ALL_SAID)
        .map(({ by, text }) => `${NAMES[by]}: ${text}`);
      if (shown.join("\n") !== script.join("\n")) return `${label} was shown another conversation`;
    }
    return null;
  }

  #search() {
    const needles = this.#needles();
    const shown = this.#everybody().flatMap((person) => person.printed());
    const found = search([concat(...shown)], needles);
    return {
      searchedFor: needles.length,
      foundAtRelay: search(this.#tap.recorded(), needles),
      foundAtMembers: new Set(found.map(({ label }) => label)).size,
    };
  }

  #needles(): Needle[] {
    const codes = new Set(this.#everybody().flatMap(safetyCodes));
    return [
      ...ALL_SAID.map(({ text }) => textNeedle(`"${text}"`, text)),
      ...Object.values(NAMES).map((name) => textNeedle(`the name ${name}`, name)),
      textNeedle(`the room's name`, ROOM),
      ...[...codes].map((code) => textNeedle(`the safety code "${code}"`, code)),
      ...this.#everybody().flatMap(({ label, notices }) =>
        notices.filter((n) => n.type === "joined").map((n) =>
          keyNeedle(`${label}'s identity key`, fromHex(n.me.identity))
        )
      ),
    ];
  }

  #everybody(): DemoPerson[] {
    return CAST.map((label) => this.#people[label]);
  }

  async #wait<T>(what: string, promise: Promise<T>): Promise<T> {
    this.#awaited.add(what);
    const value = await promise;
    this.#awaited.delete(what);
    return value;
  }

  #gone(person: DemoPerson): Promise<number> {
    return this.#wait(`${person.label}: the end of its program`, person.exit);
  }

  #waitingFor(): string[] {
    return [...this.#awaited, ...this.#everybody().flatMap((person) => person.waitingFor())];
  }

  #ms(): number {
    return Math.round(performance.now() - this.#began);
  }
}

const NOTHING_SEARCHED = { searchedFor: 0, foundAtRelay: [], foundAtMembers: 0 };

/** The script cannot go on. */
class DemoError extends Error {}

function startProblem(error: unknown): string {
  const expected = error instanceof DemoError || error instanceof ListenError ||
    error instanceof ServerKeyError;
  if (!expected) throw error;
  return error.message;
}

/** The codes that a person's program has shown, in the order of the epochs. */
function safetyCodes({ notices }: DemoPerson): string[] {
  return notices.filter((n) => n.type === "joined" || n.type === "epoch").map((n) => n.safetyCode);
}
