/** A relay that has no descriptors left: it gets them back, and is asked and scraped meanwhile. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { RelayTalk } from "../../src/doctor/relay_talk.ts";
import { askRelay } from "../../src/server/shell_control.ts";
import { dial } from "../../src/transport/dial.ts";
import { fromHex, relayKey } from "../../src/wire/ids.ts";
import { Stage } from "../support/stm_process.ts";

const DESCRIPTORS = 100;
const BOUND_MS = 60_000;

/** Waits for what nobody tells us of. */
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + BOUND_MS;
  while (!await holds()) {
    assert.ok(performance.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

Deno.test(
  "strangers who take all descriptors end neither the relay nor its commands nor its metrics",
  {
    ignore: Deno.build.os !== "linux", // which shows how many there are
  },
  async () => {
    await using stage = await Stage.open();
    const certs = join(stage.folder, "certs");
    const given = ["--host", "127.0.0.1", "--port", "0", "--certs", certs, "--metrics", "0"];
    const patient = ["--handshake-ms", "600000", "--ui", "json"];
    const relay = stage.start(["server", ...given, ...patient], {
      shell: [`ulimit -n ${DESCRIPTORS}`, ""],
    });
    const { port, pin, metrics = "" } = await relay.event("ready");
    const key = relayKey(fromHex(pin));
    await using talk = await RelayTalk.start(
      await dial({ host: "127.0.0.1", port, pin: key }),
      key,
      null,
    );

    const strangers: Deno.Conn[] = [];
    for (let i = 0; i < 2 * DESCRIPTORS; i++) {
      strangers.push(await Deno.connect({ hostname: "127.0.0.1", port }));
    }
    await until(
      "the descriptors are used up",
      () => [...Deno.readDirSync(`/proc/${relay.pid}/fd`)].length >= DESCRIPTORS,
    );
    const asked = askRelay(certs, "status");
    // Refused, reset or left waiting: all that there can be now.
    const scraped = fetch(`http://${metrics}/metrics`).then((r) => r.text(), () => "");
    // It goes on for who is there: after these it has tried to take the two.
    for (let i = 0; i < 5; i++) await talk.roundTripMs();

    for (const stranger of strangers) stranger.close();
    assert.equal((await asked)?.pid, relay.pid);
    await scraped;
    await until("metrics are served again", async () => {
      try {
        return await (await fetch(`http://${metrics}/readyz`)).text() === "ready\n";
      } catch (error) {
        if (error instanceof TypeError) return false;
        throw error;
      }
    });
    relay.signal("SIGTERM");
    assert.equal(await relay.exit, 0, relay.stderr);
  },
);
