#!/usr/bin/env -S deno run -A
import { run } from "./src/cli.ts";
import { dropPrivileges } from "./src/privileges.ts";

if (import.meta.main) {
  dropPrivileges(Deno.args[0]);
  // A read of standard input that nobody waits for any more would keep the process alive.
  Deno.exit(await run(Deno.args));
}
