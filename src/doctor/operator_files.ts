/** The files of a relay, as `stm server doctor` sees them. */
import { join } from "node:path";
import { Bans, BANS_FILE } from "../server/bans.ts";
import { isoTime } from "../session/turn.ts";
import { Accounts, ACCOUNTS_FILE } from "../store/accounts.ts";
import { openSetup, SETUP_FILE } from "../store/opaque_setup.ts";
import { StoreError } from "../store/store_error.ts";
import { fromPem, relayKeyIn, sameBytes } from "../transport/certificate.ts";
import { NEXT_KEY_FILE, readKeyChanges } from "../transport/key_change_files.ts";
import {
  CERTIFICATE_FILE,
  KEY_FILE,
  readPem,
  relayKeyOf,
  ServerKeyError,
} from "../transport/server_key.ts";
import { factsOf, modeFinding, ownerFinding, quoted, reasonOf, tryWriting } from "./file_checks.ts";
import type { Access } from "../wire/relay_message.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

/**
 * Looks at the folder, the key and the certificate.
 *
 * @returns the relay's key, if it is there and whole
 */
export async function* keyFindings(certs: string): AsyncGenerator<Finding, Uint8Array | null> {
  const folder = await looked("certs", certs);
  if (folder.failed !== null) return yield* said(folder.failed);
  if (folder.facts === null) {
    yield ok("certs", `${certs} is not there yet: the first start makes it, and the relay's key`);
    return null;
  }
  if (!folder.facts.isDirectory) {
    return yield* said(fail("certs", `${certs} is no folder`, "name another with --certs"));
  }
  yield modeFinding("certs", folder.facts, "write");
  try {
    await tryWriting(certs);
  } catch (cause) {
    yield fail(
      "certs",
      `${certs} cannot be written (${reasonOf(cause)})`,
      "look whether the disk is full or read-only, and run this as the user who runs the relay",
    );
  }
  const key = yield* privateKeyFindings(certs, folder.facts.uid);
  if (key !== null) {
    yield await certificateFinding(certs, key);
    yield* keyChangeFindings(certs, key);
  }
  return key;
}

/** Whether the planned change of the key can be carried out; nothing if none is planned. */
async function* keyChangeFindings(certs: string, key: Uint8Array): AsyncGenerator<Finding> {
  const check = "key-change";
  const path = join(certs, NEXT_KEY_FILE);
  try {
    const { pending } = await readKeyChanges(certs, key, Date.now() / 1000);
    if (pending === null) return;
    const at = isoTime(pending.from * 1000);
    const text = await readPem(path);
    const next = text === null ? null : await relayKeyOf(text);
    if (next === null || !sameBytes(next, pending.next)) {
      yield fail(
        check,
        `${path} is not the key that was announced for ${at}`,
        "bring it back from a backup before then: clients that heard of it expect it",
      );
      return;
    }
    const facts = await factsOf(path);
    const mode = facts === null ? null : modeFinding(check, facts, "read");
    yield mode === null || mode.verdict === "ok"
      ? ok(check, `${path} takes the place of the key at ${at}`)
      : mode;
  } catch (error) {
    if (!(error instanceof ServerKeyError)) throw error;
    yield fail(check, error.message, "the relay will not start with it");
  }
}

async function* privateKeyFindings(
  certs: string,
  owner: number | null,
): AsyncGenerator<Finding, Uint8Array | null> {
  const path = join(certs, KEY_FILE);
  const { facts, failed } = await looked("key", path);
  if (failed !== null) return yield* said(failed);
  if (facts === null) {
    const certificate = await factsOf(join(certs, CERTIFICATE_FILE));
    yield certificate === null ? ok("key", "there is none yet: the first start makes it") : fail(
      "key",
      `${path} is gone and its certificate is there: the relay will not start`,
      "bring the key back from a backup; without it every link and invite has to be made anew",
    );
    return null;
  }
  const text = await Deno.readTextFile(path).catch(reasonOf);
  const key = await relayKeyOf(text);
  if (key === null) {
    return yield* said(
      fail("key", `${path} is not an Ed25519 private key in PEM`, "bring it back from a backup"),
    );
  }
  const mode = modeFinding("key", facts, "read");
  yield mode.verdict === "ok" ? mode : {
    ...mode,
    remedy: `${mode.remedy}; if other people use this machine, count the key as known to them`,
  };
  const foreign = ownerFinding("key", facts, owner);
  if (foreign !== null) yield foreign;
  if (facts.uid === 0) {
    yield warn(
      "user",
      "the key is root's, so the relay runs as root, which it never needs to",
      "run it as a user of its own, as deploy/stm.service does",
    );
  }
  return key;
}

async function certificateFinding(certs: string, key: Uint8Array): Promise<Finding> {
  const path = join(certs, CERTIFICATE_FILE);
  const { facts, failed } = await looked("certificate", path);
  if (failed !== null) return failed;
  if (facts === null) {
    return ok("certificate", "there is none: the next start makes it from the key");
  }
  const der = fromPem("CERTIFICATE", await Deno.readTextFile(path));
  const shown = der === null ? null : relayKeyIn(der);
  if (shown !== null && sameBytes(shown, key)) return ok("certificate", `${path} fits the key`);
  return fail(
    "certificate",
    shown === null
      ? `${path} is no certificate of a relay`
      : `${path} belongs to another key than ${KEY_FILE} beside it`,
    `delete it, and the next start makes it from the key: rm ${quoted(path)}`,
  );
}

/** A file of JSON that the relay reads at its start. */
interface JsonFile {
  readonly check: string;
  readonly name: string;
  /** What others could do with it, see `modeFinding`. */
  readonly danger: "read" | "write";
  /** What its being absent means, where it may be. */
  readonly absent: string;
  /** Whether it has to be there; not unless it says so. @throws {StoreError} */
  readonly needed?: () => Promise<boolean>;
  /** Reads it and says what is in it. @throws {StoreError} */
  readonly read: () => Promise<string>;
}

function jsonFiles(certs: string): readonly JsonFile[] {
  const accounts = new Accounts(join(certs, ACCOUNTS_FILE));
  return [
    {
      check: "bans",
      name: BANS_FILE,
      danger: "write",
      absent: "nobody is banned",
      read: async () => `${(await new Bans(certs).list()).length} in force`,
    },
    {
      check: "accounts",
      name: ACCOUNTS_FILE,
      danger: "read",
      absent: "there are none",
      read: async () => `of ${(await accounts.read()).users.length} people`,
    },
    {
      check: "accounts",
      name: SETUP_FILE,
      danger: "read",
      absent: "the first account makes the login's secret",
      needed: async () => (await accounts.read()).setup !== undefined,
      read: async () => {
        await openSetup(join(certs, SETUP_FILE), (await accounts.read()).setup, () => {
          throw new TypeError("a setup that is there is not made");
        });
        return "the login's secret, of these accounts";
      },
    },
  ];
}

async function jsonFinding(certs: string, file: JsonFile): Promise<Finding> {
  const { check, danger } = file;
  const path = join(certs, file.name);
  const { facts, failed } = await looked(check, path);
  if (failed !== null) return failed;
  try {
    if (facts === null) {
      const needed = await file.needed?.() ?? false;
      return needed ? ok(check, await file.read()) : ok(check, file.absent);
    }
    // Written by root, say, it cannot be read by the relay, which then takes no reload.
    const folder = await factsOf(certs);
    const foreign = ownerFinding(check, facts, folder?.uid ?? null);
    if (foreign !== null) return foreign;
    const content = await file.read();
    const mode = modeFinding(check, facts, danger);
    return mode.verdict === "ok" ? ok(check, `${path}: ${content}`) : mode;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return fail(
      check,
      error.message,
      "the relay will not start with it: mend it, or bring it back from a backup",
    );
  }
}

/**
 * Looks at what the relay keeps beside its key.
 *
 * @param access who may enter
 */
export async function* keptFindings(certs: string, access: Access): AsyncGenerator<Finding> {
  for (const file of jsonFiles(certs)) yield await jsonFinding(certs, file);
  if (access === "open" || await anyAccount(certs)) return;
  yield warn(
    "accounts",
    `with --access ${access} only people with an account get in, and there is none`,
    access === "code" ? "make a code: stm server code" : "make one: stm server user add NAME",
  );
}

/** Whether there is an account, as far as can be told; what is wrong with the file was said. */
async function anyAccount(certs: string): Promise<boolean> {
  try {
    return (await new Accounts(join(certs, ACCOUNTS_FILE)).read()).users.length > 0;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return true;
  }
}

/** Looks at a file that we may not be allowed to look at. */
async function looked(check: string, path: string) {
  try {
    return { facts: await factsOf(path), failed: null };
  } catch (error) {
    const text = `${path} cannot be looked at: ${reasonOf(error)}`;
    return { facts: null, failed: fail(check, text, "run this as the user who runs the relay") };
  }
}

/** A last word. */
function* said(finding: Finding): Generator<Finding, null> {
  yield finding;
  return null;
}
