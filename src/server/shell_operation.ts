/**
 * What runs beside a relay for the one who operates it: the log's lines, the metrics page, what can be
 * asked of it and told it while it runs, and the clock that the relay's graces hang on.
 *
 * @module
 */
import { writeFileAtomic } from "../store/atomic.ts";
import type { Listener } from "../transport/listen.ts";
import {
  carryOutKeyChange,
  type PlannedChanges,
  readKeyChanges,
} from "../transport/key_change_files.ts";
import { loadOrCreateServerKey } from "../transport/server_key.ts";
import { type RelayKey, relayKey, sameBytes } from "../wire/ids.ts";
import { formatAddress } from "../wire/link_url.ts";
import type { Guard } from "./guard.ts";
import type { OpenAccounts } from "./shell_accounts.ts";
import type { Journal } from "./journal.ts";
import { metricsPage } from "./metrics_page.ts";
import { type ServerOptions, waitingForStart } from "./options.ts";
import { Relay, type RelayCounters, SYSTEM_PORTS, TICK_MS } from "./relay.ts";
import { readBans } from "./shell_bans.ts";
import {
  type Control,
  type ControlAnswer,
  type ControlRequest,
  openControl,
} from "./shell_control.ts";

/** How often the log says what went through, if anything did. */
const TRAFFIC_EVERY_MS = 60_000;

/** After a planned change of the key that failed. Clients take the old one for an hour more (PROTOCOL §2.1). */
const KEY_AGAIN_MS = 60_000;

/** Connections that never became one, by why. */
export type TurnedAway = Record<string, number>;

/** Reads something anew; what it gives back puts that into force, which cannot fail. */
export type Reloadable = () => Promise<() => void>;

/** What an operation is made of. */
export interface OperationParts {
  /** Of the program. */
  readonly version: string;
  /** As they were at the start. */
  readonly options: ServerOptions;
  /** Reads the options anew; null if they cannot change. */
  readonly reread: (() => Promise<ServerOptions>) | null;
  /** The relay's key. */
  readonly key: RelayKey;
  /** What is planned for it, and what was. */
  readonly changes: PlannedChanges;
  /** The relay has another key from now on: says so. */
  readonly keyChanged: (key: RelayKey) => Promise<void>;
  /** The log. */
  readonly journal: Journal;
  /** Where the links come from. */
  readonly listener: Listener;
  /** Asked by the listener. */
  readonly guard: Guard;
  /** Counted by the listener's owner. */
  readonly turnedAway: TurnedAway;
  /** Who may log in; null where everybody may enter. */
  readonly accounts: OpenAccounts | null;
  /** What else is read anew when the relay is told to. */
  readonly reloadables: readonly Reloadable[];
}

/** See the module. */
export class Operation {
  /** The relay, to which links may be given. */
  readonly relay: Relay;
  readonly #parts: OperationParts;
  readonly #startedS = Date.now() / 1000;
  readonly #ticker: ReturnType<typeof setInterval>;
  #control: Control | null = null;
  #key: RelayKey;
  /** When the key changes, in ms since 1970; Infinity for not yet known. */
  #keyDueMs = Infinity;
  #reloading: Promise<unknown> = Promise.resolve();
  #drainMs: number;
  /** Options that were read and count from the next start. */
  #waiting: readonly string[] = [];
  #ready = true;
  #dueMs = performance.now() + TICK_MS;
  #tickDelayMs = 0;
  #toldMs = performance.now();
  #told: RelayCounters | null = null;

  /** Makes the relay and looks after it until {@link close}. */
  constructor(parts: OperationParts) {
    const { journal, guard, key, options, accounts } = parts;
    this.#parts = parts;
    this.#key = key;
    this.#drainMs = options.operation.drainMs;
    this.relay = new Relay(key, options.limits, {
      ...SYSTEM_PORTS,
      allowanceOf: (address) => guard.allowanceOf(address),
      allowanceOfAccount: (name) => guard.allowanceOfAccount(name),
      ...(accounts === null ? {} : {
        login: {
          access: accounts.access,
          take: (visit, message) => accounts.desk.take(visit, message),
          mayStay: (account) => accounts.mayStay(account),
        },
      }),
      closed: (code, address) => {
        // At the end everybody is closed, which one line says.
        if (code !== "shutting-down") journal.log("info", "closed", { code }, address);
      },
    });
    this.#adoptKey(key, parts.changes);
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Answers `stm server status` and the like from now on; without, the relay runs as well. */
  async listenForCommands(): Promise<void> {
    const { options, journal } = this.#parts;
    try {
      this.#control = await openControl(options.certs, (request) => this.#answer(request));
      if (this.#control === null) {
        journal.log("warn", "no-control", { why: "another relay with this folder runs" });
      }
      // A command of a moment ago found nobody to tell: what it wrote counts as well.
      await this.#inTurn(() => this.#adoptAnew([() => this.#rereadRules(), ...this.#users]));
    } catch (error) {
      journal.log("warn", "no-control", { why: messageOf(error) });
    }
  }

  /** Reads options, bans, certificate and the rest anew. What is wrong changes nothing at all. */
  async reload(): Promise<ControlAnswer> {
    return await this.#inTurn(() => this.#reload());
  }

  /** @param work never rejects */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const after = this.#reloading.then(work);
    this.#reloading = after;
    return after;
  }

  /** Whether new people are taken. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Says "not ready" from now on, waits as long as was asked for, and empties the relay. */
  async stop(reason: string, hurry: Promise<unknown>): Promise<void> {
    this.#ready = false;
    const { journal } = this.#parts;
    const { connections } = this.relay.counters;
    journal.log("info", "stopping", { reason, connections });
    if (this.#drainMs > 0) await within(this.#drainMs, hurry);
    await this.relay.shutDown();
    journal.log("info", "stopped");
  }

  /** Ends the clock and the commands. */
  async close(): Promise<void> {
    this.#ready = false;
    clearInterval(this.#ticker);
    await this.#control?.close();
  }

  /** The metrics page as of now. */
  page(): string {
    return metricsPage({
      version: this.#parts.version,
      startedS: this.#startedS,
      ready: this.#ready,
      counters: this.relay.counters,
      sockets: this.#parts.listener.connections(),
      turnedAway: this.#parts.turnedAway,
      residentBytes: Deno.memoryUsage().rss,
      tickDelayMs: this.#tickDelayMs,
    });
  }

  async #answer(request: ControlRequest): Promise<ControlAnswer> {
    return request === "reload" ? await this.reload() : this.#status();
  }

  #status(): ControlAnswer {
    const { version, listener, turnedAway, accounts } = this.#parts;
    return {
      version,
      pid: Deno.pid,
      ready: this.#ready,
      access: accounts?.access ?? "open",
      accounts: accounts?.count() ?? 0,
      host: listener.addresses[0]?.host ?? "",
      port: listener.port,
      listening: listener.addresses.map(({ host, port }) => formatAddress(host, port)),
      upS: Math.floor(Date.now() / 1000 - this.#startedS),
      sockets: listener.connections(),
      ...this.relay.counters,
      turnedAway,
      residentBytes: Deno.memoryUsage().rss,
      tickDelayMs: Math.round(this.#tickDelayMs),
    };
  }

  async #reload(): Promise<ControlAnswer> {
    const { journal, reloadables, accounts, guard } = this.#parts;
    const own = [() => this.#rereadRules(), () => this.#rereadKey()];
    const why = await this.#adoptAnew([...own, ...this.#users, ...reloadables]);
    if (why !== null) return { error: why };
    const dismissed = this.relay.dismiss((address) => guard.isBanned(address)) +
      this.relay.logOut((account) => accounts?.mayStay(account) ?? true);
    const waiting = this.#waiting;
    if (waiting.length === 0) journal.log("info", "reloaded", { dismissed });
    else journal.log("warn", "reloaded", { dismissed, waitingForStart: waiting.join() });
    return {
      reloaded: true,
      dismissed,
      access: accounts?.access ?? "open",
      waitingForStart: waiting,
    };
  }

  get #users(): readonly Reloadable[] {
    const { accounts } = this.#parts;
    return accounts === null ? [] : [accounts.reread];
  }

  /** All or nothing. @returns what was wrong, if anything was */
  async #adoptAnew(readers: readonly Reloadable[]): Promise<string | null> {
    try {
      const commits = await Promise.all(readers.map((read) => read()));
      for (const commit of commits) commit();
      return null;
    } catch (error) {
      const why = messageOf(error);
      this.#parts.journal.log("error", "failed", { what: "reload", why });
      return why;
    }
  }

  /** Limits, exemptions, log and bans. */
  async #rereadRules(): Promise<() => void> {
    const { options: first, reread, guard, journal, listener } = this.#parts;
    const options = await reread?.() ?? first;
    const bans = await readBans(first.certs);
    const { limits, operation } = options;
    return () => {
      this.relay.adopt(limits);
      listener.adopt({
        handshakeTimeoutMs: limits.handshakeMs,
        maxConnections: limits.maxConnections,
        balancers: operation.balancers,
      });
      guard.adopt(limits, operation.exempt, bans);
      journal.adopt(operation.log);
      this.#drainMs = operation.drainMs;
      this.#waiting = waitingForStart(first, options);
    };
  }

  /** The certificate may be a new one, and so may the key if it was announced. */
  async #rereadKey(): Promise<() => void> {
    const { options, listener, journal } = this.#parts;
    const nowS = Date.now() / 1000;
    await carryOutKeyChange(options.certs, nowS);
    const { publicKey, ...credentials } = await loadOrCreateServerKey(
      options.certs,
      writeFileAtomic,
    );
    const key = relayKey(publicKey);
    const changes = await readKeyChanges(options.certs, key, nowS);
    const same = sameBytes(key, this.#key);
    const announced = changes.statements.some(({ value }) =>
      sameBytes(value.next, key) && sameBytes(value.old, this.#key)
    );
    if (!same && !announced) {
      throw new Error(
        `the key in ${options.certs} is not the one that this relay runs with: it was left as it ` +
          "is, and takes a restart",
      );
    }
    const show = await listener.renew(credentials);
    return () => {
      show();
      this.#adoptKey(key, changes);
      if (same) return;
      journal.log("info", "key-changed");
      void this.#parts.keyChanged(key);
    };
  }

  /** The time of a planned change has come. Clients expect the key, whatever else in the files is wrong. */
  async #changeKey(): Promise<void> {
    try {
      (await this.#rereadKey())();
    } catch (error) {
      this.#parts.journal.log("error", "failed", { what: "key-change", why: messageOf(error) });
      this.#keyDueMs = Date.now() + KEY_AGAIN_MS;
    }
  }

  #adoptKey(key: RelayKey, { statements, pending }: PlannedChanges): void {
    this.#key = key;
    this.#keyDueMs = pending === null ? Infinity : pending.from * 1000;
    this.relay.changeKey(key, statements);
  }

  #tick(): void {
    const { relay } = this;
    const nowMs = performance.now();
    this.#tickDelayMs = Math.max(0, nowMs - this.#dueMs);
    this.#dueMs = nowMs + TICK_MS;
    relay.tick();
    if (Date.now() >= this.#keyDueMs) {
      this.#keyDueMs = Infinity;
      void this.#inTurn(() => this.#changeKey());
    }
    if (nowMs - this.#toldMs >= TRAFFIC_EVERY_MS) {
      this.#toldMs = nowMs;
      this.#tellTraffic(relay.counters);
    }
  }

  #tellTraffic(counters: RelayCounters): void {
    const before = this.#told;
    this.#told = { ...counters };
    const moved = (name: "framesIn" | "bytesIn" | "bytesOut" | "connectionsTotal") =>
      counters[name] - (before?.[name] ?? 0);
    if (moved("framesIn") === 0 && moved("connectionsTotal") === 0) return;
    this.#parts.journal.log("info", "traffic", {
      connections: counters.connections,
      rooms: counters.rooms,
      arrived: moved("connectionsTotal"),
      frames: moved("framesIn"),
      bytesIn: moved("bytesIn"),
      bytesOut: moved("bytesOut"),
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Waits that long, or until something else is settled. */
async function within(ms: number, other: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const waited = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([waited, other]);
  clearTimeout(timer);
}
