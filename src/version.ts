/** The program's version, as `hello` and `stm version` say it; a test holds it to deno.json's. */
export const VERSION = "0.1.0";

/** The commit that a package was made from; `deno task release` puts it in (tools/release_bundle.ts). */
export const COMMIT = "unknown";

/** The room protocol that this version speaks, docs/PROTOCOL.md. */
export const PROTOCOL = "stm/1";
