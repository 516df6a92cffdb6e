/** Processes with profiles: each person has a machine of their own, and a passphrase in a file. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Relay, Stage, StmProcess } from "./stm_process.ts";

/** People with a profile on a stage. */
export class ProfileStage {
  constructor(readonly stage: Stage, readonly relay: Relay) {}

  /** Makes a stage's relay. */
  static async open(stage: Stage): Promise<ProfileStage> {
    return new ProfileStage(stage, await stage.relay());
  }

  /** The file of somebody's profile. */
  file(person: string): string {
    return join(this.stage.home(person), "profiles", `${person}.stm`);
  }

  /** Arguments that open somebody's profile. */
  async as(person: string): Promise<string[]> {
    const passphrase = join(this.stage.folder, `${person}.passphrase`);
    await Deno.writeTextFile(passphrase, `the passphrase of ${person}\n`);
    return ["--profile", person, "--passphrase-file", passphrase];
  }

  /** `stm profile create PERSON`. */
  async create(person: string): Promise<StmProcess> {
    const [, name = "", ...sealing] = await this.as(person);
    const made = await this.stage.run(["profile", "create", name, ...sealing], { machine: person });
    assert.equal(await made.exit, 0, made.stderr);
    return made;
  }

  /** Starts `stm COMMAND` as somebody. */
  async start(
    person: string,
    command: "admin" | "client",
    args: readonly string[],
  ): Promise<StmProcess> {
    const own = await this.as(person);
    return this.stage.start([command, ...args, ...own, "--ui", "json", "--listen"], {
      machine: person,
    });
  }

  /** Runs room R as owl: with the relay's link the first time, from the profile later. */
  async owl(first = false): Promise<{ owl: StmProcess; invite: string }> {
    const args = [...(first ? [this.relay.link] : []), "--room", "R"];
    const owl = await this.start("owl", "admin", args);
    return { owl, invite: (await owl.event("invite")).url };
  }

  /** Lets somebody join by an invite. */
  async join(person: string, invite: string): Promise<StmProcess> {
    const client = await this.start(person, "client", ["-"]);
    client.write(`${invite}\n`);
    return client;
  }
}

/** Ends a session in good order. */
export async function quit(person: StmProcess): Promise<void> {
  assert.equal((await person.command("/quit")).type, "ok");
  assert.equal(await person.exit, 0);
}
