// Tries what a program could do to a machine, and prints which of it worked, as a JSON array. The
// arguments are those of stm, then --probe FOLDER for each folder to read and write in.
const worked = [];

async function attempt(name, act) {
  try {
    await act();
    worked.push(name);
  } catch (error) {
    const refused = error instanceof Deno.errors.NotCapable ||
      /NotCapable|Requires \w+ access|--no-remote is specified/.test(String(error));
    if (!refused) worked.push(`${name}: ${error}`);
  }
}

await attempt("run", () => new Deno.Command("/bin/true").output());
await attempt("run by node", async () => {
  const { execFileSync } = await import("node:child_process");
  execFileSync("/bin/true", { env: {} });
});
await attempt("ffi", () => Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", {}).close());
await attempt("import", () => import(["https:", "", "deno.land", "x.js"].join("/")));
await attempt("net", () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close());
await attempt("env PATH", () => Deno.env.get("PATH"));
await attempt("env HOME", () => Deno.env.get("HOME"));
await attempt("env TERM", () => Deno.env.get("TERM"));
await attempt("sys networkInterfaces", () => Deno.networkInterfaces());
await attempt("sys systemMemoryInfo", () => Deno.systemMemoryInfo());
await attempt("sys hostname", () => Deno.hostname());
await attempt("read /etc/passwd", () => Deno.readTextFile("/etc/passwd"));
await attempt("write /var/tmp", async () => {
  await Deno.remove(await Deno.makeTempFile({ dir: "/var/tmp", prefix: "stm-probe-" }));
});
for (const [i, arg] of Deno.args.entries()) {
  if (arg !== "--probe") continue;
  const folder = Deno.args[i + 1];
  await attempt(`folder ${folder}`, async () => {
    await Deno.mkdir(folder).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
    await Deno.writeTextFile(`${folder}/probe`, "x");
    await Deno.readTextFile(`${folder}/probe`);
    await Deno.remove(`${folder}/probe`);
  });
}
for (const [i, arg] of Deno.args.entries()) {
  if (arg === "--try-read") {
    await attempt(`read ${Deno.args[i + 1]}`, () => Deno.readTextFile(Deno.args[i + 1]));
  }
}
console.log(JSON.stringify(worked));
Deno.exit();
