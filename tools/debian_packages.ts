/**
 * The Debian packages of the system tests: `tools/debian_packages.txt` read, and asked for.
 *
 * @module
 */

/**
 * Reads a list of packages.
 *
 * @param text one name a line; `#` starts a comment
 */
export function parsePackages(text: string): string[] {
  return text.split("\n").map((line) => line.replace(/#.*/, "").trim()).filter((name) => name);
}

/**
 * Asks dpkg for each package.
 *
 * @returns those that are not installed; all of them where there is no dpkg
 */
export async function missingPackages(names: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const name of names) {
    const query = new Deno.Command("dpkg-query", {
      args: ["--show", "--showformat=${db:Status-Status}", name],
      stdin: "null",
    });
    const status = await query.output().then(
      ({ stdout }) => new TextDecoder().decode(stdout),
      () => "no dpkg here",
    );
    if (status !== "installed") missing.push(name);
  }
  return missing;
}
