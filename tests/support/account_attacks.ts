/**
 * Strangers and thieves at a relay that wants a login. Each attack says whether it got what it wanted, and what to
 * take out of the program for it to succeed.
 */
import { runServer } from "../../src/server/main.ts";
import { resetUser } from "../../src/server/shell_account_commands.ts";
import { dial } from "../../src/transport/dial.ts";
import { relayKey } from "../../src/wire/ids.ts";
import { account } from "./account_name.ts";
import { AccountRelay, type RecordedLogin, Visitor } from "./account_relay.ts";
import { TestRoom } from "./gate_people.ts";
import type { Patch } from "./patched_copy.ts";

/** One attack. */
export interface AccountAttack {
  readonly name: string;
  /** What stops it. */
  readonly defence: Omit<Patch, "name">;
  /** @returns whether it got in */
  run(relay: AccountRelay): Promise<boolean>;
}

const FOX = account("fox");
const PASSWORD = "correct horse battery";
/** As many as a patient attacker would have in the first second, the right one behind them. */
const GUESSES = [...Array.from({ length: 11 }, (_, i) => `password${i}`), PASSWORD];

/** All of them. */
export const ACCOUNT_ATTACKS: readonly AccountAttack[] = [
  {
    name: "enters without a login",
    defence: {
      file: "src/server/gate.ts",
      from: "!connection.authorized && !BEFORE_LOGIN.has(message.kind)",
      to: "false",
    },
    async run(relay) {
      const stranger = await relay.arrive();
      stranger.enter(new TestRoom(), "owner");
      await stranger.until(() => stranger.closing !== undefined || stranger.handles.size > 0);
      return stranger.handles.size > 0;
    },
  },
  {
    name: "replays a recorded login",
    defence: {
      file: "src/server/login_desk.ts",
      from:
        "const holds = sessionKey !== null && await isLoginProof(proof, sessionKey, nonce, relayKey);",
      to: "const holds = true; void [isLoginProof, proof, nonce, relayKey, sessionKey];",
    },
    async run(relay) {
      let recorded: RecordedLogin | null = null;
      const fox = await relay.arrive();
      const first = await fox.logIn(FOX, PASSWORD, (login) => {
        recorded = login;
        return Promise.resolve(login.finish);
      });
      if (first !== "logged-in" || recorded === null) throw new Error(`the control: ${first}`);
      const { start, finish }: RecordedLogin = recorded;
      const thief = await relay.arrive();
      const answer = await thief.ask(start);
      if (answer.kind !== "login-answer") throw new Error(answer.kind);
      return (await thief.ask(finish)).kind === "logged-in";
    },
  },
  {
    name: "passes a login on that was meant for another relay",
    defence: {
      file: "src/server/login_desk.ts",
      from: " && await isLoginProof(proof, sessionKey, nonce, relayKey)",
      to: "; void [isLoginProof, proof, nonce, relayKey]",
    },
    async run(relay) {
      // Its person believes in the key of the relay in between, which shows it the nonce of the right one.
      const { host, port, relayKey: pin } = relay.link;
      const other = relayKey(pin.map((byte) => byte ^ 1));
      const person = new Visitor(relay.worker, await dial({ host, port, pin }), other);
      await person.until(() => person.nonce !== null);
      return await person.logIn(FOX, PASSWORD) === "logged-in";
    },
  },
  {
    name: "guesses",
    defence: {
      file: "src/server/login_desk.ts",
      from: "const waitMs = limits.attempt(account, sourceOf(remoteAddress), nowMs());",
      to: "const waitMs = 0; void [limits, sourceOf, nowMs, remoteAddress, account];",
    },
    async run(relay) {
      for (const password of GUESSES) {
        const guesser = await relay.arrive();
        const outcome = await guesser.logIn(FOX, password);
        guesser.link.close();
        if (outcome === "logged-in") return true;
        if (outcome === "rate-limited") return false;
      }
      throw new Error("the list has ended");
    },
  },
  {
    name: "stays after the account was reset",
    defence: {
      file: "src/server/shell_operation.ts",
      from: "this.relay.logOut((account) => accounts?.mayStay(account) ?? true)",
      to: "0",
    },
    async run(relay) {
      const thief = await relay.arrive();
      if (await thief.logIn(FOX, PASSWORD) !== "logged-in") throw new Error("the control");
      const output = { out: () => {}, err: () => {} };
      await resetUser({ certs: relay.certs, ui: "json" }, FOX, 3_600_000, output);
      thief.enter(new TestRoom(), "owner");
      await thief.until(() => thief.closing !== undefined || thief.handles.size > 0);
      return thief.closing !== "logged-out";
    },
  },
  {
    name: "finishes a login that began before the account was reset",
    defence: {
      // At the desk, and again where it is let in.
      file: "src/server/account_book.ts",
      from: 'if (known === undefined || known.record !== record) return "wrong";',
      to: 'if (known === undefined) return record === "" ? "wrong" : "good";',
    },
    async run(relay) {
      const thief = await relay.arrive();
      const outcome = await thief.logIn(FOX, PASSWORD, async ({ finish }) => {
        const output = { out: () => {}, err: () => {} };
        await resetUser({ certs: relay.certs, ui: "json" }, FOX, 3_600_000, output);
        return finish;
      });
      return outcome === "logged-in";
    },
  },
];

/** Runs an attack against a relay of its own. @param run `runServer`, perhaps of a copy of the program */
export async function attackRelay(
  attack: AccountAttack,
  folder: string,
  run: typeof runServer = runServer,
): Promise<boolean> {
  await using relay = new AccountRelay(folder, run);
  await relay.ready();
  await relay.withAccount(FOX, PASSWORD);
  return await attack.run(relay);
}
