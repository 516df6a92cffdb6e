/** Prints the checksums of all packages with a runtime of a few bytes, for a test to compare. */
import { npmArtefact, systemArtefacts } from "../../tools/release_archives.ts";
import { sums } from "../../tools/release_sums.ts";
import { TARGETS } from "../../tools/release_targets.ts";
import { parts } from "./package_stage.ts";

const runtime = new TextEncoder().encode("#!/bin/sh\n");
const all = [await npmArtefact(parts())];
for (const target of TARGETS) all.push(...await systemArtefacts(target, runtime, parts()));
await Deno.stdout.write(new TextEncoder().encode(sums(all)));
