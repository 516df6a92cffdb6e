/** How long a client takes from its start until somebody can type, and until what is typed can go out. */
import { join } from "node:path";
import { Stage } from "../tests/support/stm_process.ts";
import { type Cost, cost, median, medianCost } from "./measure.ts";

/** Milliseconds from the start of the process. */
export interface StartFigures {
  /** A program that does nothing, started in the same way. */
  readonly empty: number;
  /** An RSA-3072 key pair: its time is a matter of luck. */
  readonly rsa: Cost;
  /** The face is there and takes text. */
  readonly typing: number;
  /** Admitted: a text goes out at once. */
  readonly joined: number;
}

/** Starts clients, one after the other, that an admin on this machine admits by an invite. */
export async function measureStart(rounds: number): Promise<StartFigures> {
  await using stage = await Stage.open();
  const { invite } = await stage.admin(await stage.relay(), ["--uses", `${rounds + 1}`]);
  const nothing = join(stage.folder, "nothing.ts");
  await Deno.writeTextFile(nothing, "");
  const empty: number[] = [], typing: number[] = [], joined: number[] = [], rsa: Cost[] = [];
  // The first round fills the caches.
  for (let round = 0; round <= rounds; round++) {
    const { ms } = await cost(async () => {
      await new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--quiet", nothing] }).output();
    });
    empty.push(ms);
    const start = performance.now();
    const client = stage.client(invite, `client ${round}`);
    await client.event("hello");
    typing.push(performance.now() - start);
    await client.event("joined");
    joined.push(performance.now() - start);
    await client.command("/quit");
    await client.exit;
    rsa.push(await cost(makeRsaPair));
  }
  return {
    empty: median(empty.slice(1)),
    rsa: medianCost(rsa.slice(1)),
    typing: median(typing.slice(1)),
    joined: median(joined.slice(1)),
  };
}

async function makeRsaPair(): Promise<void> {
  await crypto.subtle.generateKey(
    {
      name: "RSA-OAEP",
      hash: "SHA-256",
      modulusLength: 3072,
      publicExponent: new Uint8Array([1, 0, 1]),
    },
    false,
    ["encrypt", "decrypt"],
  );
}
