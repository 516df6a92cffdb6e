/** The program's version, as `hello` and `stm version` say it; a test holds it to deno.json's. */
export const VERSION = "0.1.0";
