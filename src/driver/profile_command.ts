/** `stm profile create`, `stm profile list` and `stm profile forks`. */
import { fingerprintOf } from "../crypto/join.ts";
import { systemRandom } from "../crypto/primitives.ts";
import { importSigningKey } from "../crypto/session_keys.ts";
import { EXIT } from "../session/exit_code.ts";
import { newProfile } from "../store/profile.ts";
import { createProfile, profileSealing } from "../store/profile_store.ts";
import { StoreError } from "../store/store_error.ts";
import { askSecret, PromptError } from "../ui/prompt.ts";
import { formatFingerprint } from "../wire/ids.ts";
import { isName } from "../wire/name.ts";
import type { ParticipantPorts } from "./participant.ts";
import { chosenSealer, type SealOptions } from "./passphrase.ts";
import {
  openSessionProfile,
  profileFile,
  type ProfileOptions,
  profilesIn,
} from "./session_profile.ts";
import { StartError } from "./start_error.ts";

/** What the commands need of the process. */
export type ProfilePorts = Pick<ParticipantPorts, "terminal" | "env" | "folder">;

/** Where the commands say what they did. */
export interface ProfileOutput {
  out(line: string): void;
  err(line: string): void;
}

/** The command line of `stm profile create`. */
export interface CreateOptions extends SealOptions {
  /** The profile's. */
  readonly profile: string;
  /** What the person goes by; the profile's name if not said. */
  readonly name: string | undefined;
}

/** What a profile is called if nobody says. */
export const DEFAULT_PROFILE = "default";

/**
 * Makes a profile, never over one that is there.
 *
 * @returns the exit code
 */
export function runProfileCreate(
  options: CreateOptions,
  ports: ProfilePorts,
  output: ProfileOutput,
): Promise<number> {
  return told(output, async () => {
    const { profile: name } = options;
    const path = profileFile(ports.folder(), name);
    // Before anybody thinks of a passphrase. `createProfile` looks again, under its lock.
    if (await profileSealing(path) !== undefined) {
      throw new StoreError("exists", path, "there is a profile already; choose another name");
    }
    const person = personName(options);
    const { terminal } = ports;
    const ask = terminal.isTerminal ? () => newPassphrase(name, ports, output) : null;
    const sealer = await chosenSealer(options, ports.env, ask, `the profile ${name}`);
    const seed = systemRandom(32);
    const { publicKey } = await importSigningKey(seed);
    const profile = newProfile(seed, person);
    seed.fill(0);
    const store = await createProfile({ path, sealer, profile });
    await store.close();
    output.out(`profile ${name} is at ${path}`);
    output.out(`fingerprint of its identity: ${formatFingerprint(fingerprintOf(publicKey))}`);
    output.out(
      options.noPassphrase
        ? "it is not sealed: whoever can read that file can be you; use it with --no-passphrase"
        : "it is sealed under its passphrase, without which nobody can open it, you included",
    );
    output.out(`use it: stm client --profile ${name}, stm admin LINK --profile ${name}`);
  });
}

/** A profile made for nobody in particular must not make everybody "default". */
function personName(options: CreateOptions): string | undefined {
  const { name, profile } = options;
  if (name === undefined) return profile === DEFAULT_PROFILE ? undefined : profile;
  const normal = name.normalize("NFKC").trim();
  if (isName(normal)) return normal;
  throw new StartError(
    "usage",
    EXIT.usage,
    `--name takes 1 to 64 bytes of text without control characters, not "${name}"; for example --name fox`,
  );
}

async function newPassphrase(
  name: string,
  { terminal }: ProfilePorts,
  output: ProfileOutput,
): Promise<string> {
  for (;;) {
    const once = await askSecret(`New passphrase for the profile ${name}`, terminal);
    // An empty one is refused by whoever takes it.
    if (once === "" || once === await askSecret("The same again", terminal)) return once;
    output.out("These were not the same: once more, please.");
  }
}

/**
 * Lists the profiles by name, with their files and whether they are sealed.
 *
 * @returns the exit code
 */
export function runProfileList(
  ports: Pick<ProfilePorts, "folder">,
  output: ProfileOutput,
): Promise<number> {
  return told(output, async () => {
    const profiles = await profilesIn(ports.folder());
    for (const { name, path, sealing } of profiles) {
      const what = sealing === "sealed" ? "" : sealing === "plain" ? "  NOT SEALED" : "  damaged";
      output.out(`${name}  ${path}${what}`);
    }
    if (profiles.length === 0) output.out("there is no profile yet: stm profile create makes one");
  });
}

/**
 * Prints the forks that a profile has kept, one JSON object a line: what others need to check them.
 *
 * @returns the exit code
 */
export function runProfileForks(
  options: ProfileOptions,
  ports: ProfilePorts,
  output: ProfileOutput,
): Promise<number> {
  return told(output, async () => {
    const { terminal } = ports;
    const ask = terminal.isTerminal
      ? () => askSecret(`Passphrase of the profile ${options.name}`, terminal)
      : null;
    const { store } = await openSessionProfile(options, ports.folder(), ports.env, ask);
    for (const fork of store.profile.forks ?? []) output.out(JSON.stringify(fork));
    await store.close();
  });
}

async function told(output: ProfileOutput, act: () => Promise<void>): Promise<number> {
  try {
    await act();
    return EXIT.left;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const exitCode = exitCodeOf(error);
    if (exitCode === null) throw error;
    output.err(`stm: ${error.message}`);
    return exitCode;
  }
}

function exitCodeOf(error: Error): number | null {
  if (error instanceof StartError) return error.exitCode;
  if (error instanceof StoreError) return EXIT.failed;
  if (error instanceof PromptError) return error.code === "no-terminal" ? EXIT.usage : EXIT.failed;
  return null;
}
