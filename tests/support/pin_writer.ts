/**
 * A process that remembers ten servers in a file that others write too.
 *
 *     deno run -A tests/support/pin_writer.ts FILE HOST
 */
import { serverPins } from "../../src/store/server_pins.ts";

const [path = "", host = ""] = Deno.args;
const pins = serverPins(path);
for (let port = 1; port <= 10; port++) await pins.remember(host, port, "ab".repeat(32));
