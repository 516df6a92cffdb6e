#!/usr/bin/env -S deno run -A
import { run } from "./src/cli.ts";

// A read of standard input that nobody waits for any more would keep the process alive.
if (import.meta.main) Deno.exit(await run(Deno.args));
