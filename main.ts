#!/usr/bin/env -S deno run -A
import { run } from "./src/cli.ts";
import { dropPrivileges } from "./src/privileges.ts";

if (import.meta.main) {
  dropPrivileges(Deno.args[0]);
  // A read of standard input that nobody waits for any more would keep the process alive. From a timer: the
  // runtime stores what it has compiled once this module has ended, and the next start is quicker.
  setTimeout(Deno.exit, 0, await run(Deno.args));
}
