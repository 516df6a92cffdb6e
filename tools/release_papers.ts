/**
 * What accompanies the program: man pages, completions, licences, the list of parts.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import * as v from "valibot";
import { completions, SHELLS } from "../src/completions.ts";
import { COMMANDS } from "../src/cli.ts";
import { manPages } from "./man_pages.ts";
import type { BundledPackage } from "./release_bundle.ts";
import { run } from "./release_run.ts";
import type { ArchiveFile } from "./release_tar.ts";
import { RUNTIME_VERSION, TARGETS } from "./release_targets.ts";

/** Licences of all that goes into the packages; the first line of `stm.js` names it. */
export const LICENCES = "THIRD_PARTY_LICENSES.txt";

/** Where each shell looks for its script, below `share/`. */
const COMPLETION_FILES: Readonly<Record<(typeof SHELLS)[number], string>> = {
  bash: "bash-completion/completions/stm",
  zsh: "zsh/site-functions/_stm",
  fish: "fish/vendor_completions.d/stm.fish",
  powershell: "powershell/stm.ps1",
};

/** The files beside the program, by their path in an archive. */
export async function papers(
  root: string,
  version: string,
  seconds: number,
  packages: readonly PackageFacts[],
): Promise<ArchiveFile[]> {
  const text = (path: string, content: string): ArchiveFile => ({
    path,
    bytes: new TextEncoder().encode(content),
  });
  const pages = manPages(COMMANDS, version, seconds);
  return [
    text("LICENSE", await Deno.readTextFile(join(root, "LICENSE"))),
    text("README.md", await Deno.readTextFile(join(root, "packaging", "README.md"))),
    text(LICENCES, await thirdParty(root, packages)),
    text("share/systemd/stm.service", await Deno.readTextFile(join(root, "deploy", "stm.service"))),
    ...[...pages].map(([name, page]) => text(`share/man/man1/${name}`, page)),
    ...SHELLS.map((shell) =>
      text(`share/${COMPLETION_FILES[shell]}`, completions(shell, COMMANDS))
    ),
  ];
}

/** What is known of a package that went into `stm.js`. */
export interface PackageFacts extends BundledPackage {
  readonly license: string;
  readonly licenseText: string;
  /** As `deno.lock` has it. */
  readonly integrity: string;
}

const LOCK = v.object({ npm: v.record(v.string(), v.object({ integrity: v.string() })) });
const INFO = v.object({ npmCache: v.string() });
const PACKAGE_JSON = v.object({ license: v.string() });

/**
 * Reads the licences from the runtime's package cache and the digests from the lock file.
 *
 * @throws {Error} for a package without a licence text, or that the lock does not name
 */
export async function packageFacts(
  root: string,
  packages: readonly BundledPackage[],
): Promise<PackageFacts[]> {
  const lock = v.parse(LOCK, JSON.parse(await Deno.readTextFile(join(root, "deno.lock"))));
  const info = v.parse(INFO, JSON.parse(await run(Deno.execPath(), ["info", "--json"])));
  const facts: PackageFacts[] = [];
  for (const { name, version } of packages) {
    const folder = await packageFolder(info.npmCache, name, version);
    const { license } = v.parse(
      PACKAGE_JSON,
      JSON.parse(await Deno.readTextFile(join(folder, "package.json"))),
    );
    const entry = Object.entries(lock.npm).find(([key]) =>
      key === `${name}@${version}` || key.startsWith(`${name}@${version}_`)
    );
    if (entry === undefined) throw new Error(`deno.lock does not name ${name}@${version}`);
    facts.push({
      name,
      version,
      license,
      licenseText: await licenseText(folder),
      integrity: entry[1].integrity,
    });
  }
  return facts;
}

/** The cache has a folder for each registry, of which a machine may use another than npm's own. */
async function packageFolder(cache: string, name: string, version: string): Promise<string> {
  for await (const registry of Deno.readDir(cache)) {
    const folder = join(cache, registry.name, name, version);
    if (await Deno.stat(folder).then((info) => info.isDirectory, () => false)) return folder;
  }
  throw new Error(`${name}@${version} is not in the package cache ${cache}`);
}

async function licenseText(folder: string): Promise<string> {
  for await (const { name } of Deno.readDir(folder)) {
    if (/^licen[cs]e(\.\w+)?$/i.test(name)) return await Deno.readTextFile(join(folder, name));
  }
  throw new Error(`${folder} has no licence`);
}

async function thirdParty(root: string, packages: readonly PackageFacts[]): Promise<string> {
  const runtime = await Deno.readTextFile(join(root, "packaging", "runtime_license.txt"));
  const rule = "-".repeat(78);
  return [
    "stm contains the work of others, under these licences.\n",
    ...packages.map(({ name, version, license, licenseText }) =>
      `${rule}\n${name} ${version} (${license})\n${rule}\n\n${licenseText.trim()}\n`
    ),
    `${rule}\nDeno ${RUNTIME_VERSION}, the runtime (MIT)\n${rule}\n\n${runtime.trim()}\n`,
  ].join("\n");
}

/** The list of parts as CycloneDX 1.6; the same parts and time give the same bytes. */
export function sbom(
  version: string,
  commit: string,
  seconds: number,
  packages: readonly PackageFacts[],
): string {
  const component = (name: string, version: string, license: string, integrity: string) => ({
    type: "library",
    "bom-ref": `pkg:npm/${name.replace("@", "%40")}@${version}`,
    name,
    version,
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    licenses: [{ license: { id: license } }],
    hashes: [{
      alg: "SHA-512",
      content: Uint8Array.fromBase64(integrity.replace("sha512-", "")).toHex(),
    }],
  });
  const components = [
    ...packages.map((p) => component(p.name, p.version, p.license, p.integrity)),
    ...TARGETS.map((target) => ({
      ...component(target.package, RUNTIME_VERSION, "MIT", target.integrity),
      type: "platform",
      description: `the runtime in the packages for ${target.name}`,
    })),
  ];
  const digest = createHash("sha256").update(JSON.stringify([version, commit, components]))
    .digest("hex");
  // A UUID of version 8: its bits are ours to choose.
  const uuid = `${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-8${
    digest.slice(17, 20)
  }-${digest.slice(20, 32)}`;
  const bom = {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuid}`,
    version: 1,
    metadata: {
      timestamp: new Date(seconds * 1000).toISOString(),
      component: {
        type: "application",
        "bom-ref": "stm",
        name: "stm",
        version,
        licenses: [{ license: { id: "MIT" } }],
        properties: [{ name: "commit", value: commit }],
      },
    },
    components,
    dependencies: [{ ref: "stm", dependsOn: components.map((c) => c["bom-ref"]) }],
  };
  return `${JSON.stringify(bom, null, 2)}\n`;
}
