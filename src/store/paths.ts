import { posix, win32 } from "node:path";
import { StoreError } from "./store_error.ts";

/** `Deno.build.os`, of which "windows" and "darwin" differ from the rest. */
export type OperatingSystem = string;

/**
 * The folder of a person's profiles and pins: `$STM_HOME`, else `%APPDATA%\stm` on Windows,
 * `~/Library/Application Support/stm` on macOS, `$XDG_CONFIG_HOME/stm` or `~/.config/stm` elsewhere.
 *
 * @param env reads one variable of the environment; empty counts as unset
 * @throws {StoreError} `no-home` if no variable that would tell is set
 */
export function stateFolder(
  os: OperatingSystem,
  env: (name: string) => string | undefined,
): string {
  const path = os === "windows" ? win32 : posix;
  const set = (name: string): string | undefined => env(name) || undefined;
  const chosen = set("STM_HOME");
  if (chosen !== undefined) return path.normalize(chosen);
  if (os === "windows") {
    const appData = set("APPDATA");
    if (appData !== undefined) return path.join(appData, "stm");
    throw noHome("APPDATA");
  }
  const home = set("HOME");
  if (os === "darwin") {
    if (home !== undefined) return path.join(home, "Library", "Application Support", "stm");
    throw noHome("HOME");
  }
  const config = set("XDG_CONFIG_HOME");
  // The XDG specification has relative paths ignored.
  if (config !== undefined && path.isAbsolute(config)) return path.join(config, "stm");
  if (home !== undefined) return path.join(home, ".config", "stm");
  throw noHome("HOME");
}

function noHome(variable: string): StoreError {
  return new StoreError(
    "no-home",
    "",
    `cannot tell where to keep files: neither STM_HOME nor ${variable} is set. ` +
      "Set STM_HOME to a folder of yours, for example STM_HOME=/home/owl/stm",
  );
}

// Windows keeps these for devices, with any ending.
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)$/;

/**
 * The file of a profile.
 *
 * @param folder what {@linkcode stateFolder} gave
 * @param name lower-case letters, digits, `-` and `_`, 1 to 32, so that it is one file on every system
 * @throws {StoreError} `bad-name`
 */
export function profilePath(os: OperatingSystem, folder: string, name: string): string {
  if (!/^[a-z0-9][a-z0-9_-]{0,31}$/.test(name) || DEVICE.test(name)) {
    throw new StoreError(
      "bad-name",
      "",
      "a profile's name is 1 to 32 lower-case letters, digits, - and _, for example owl-work",
    );
  }
  return (os === "windows" ? win32 : posix).join(profilesFolder(os, folder), `${name}.stm`);
}

/** The folder of all profiles. @param folder what {@linkcode stateFolder} gave */
export function profilesFolder(os: OperatingSystem, folder: string): string {
  return (os === "windows" ? win32 : posix).join(folder, "profiles");
}

/** The file of the servers' pins, see `server_pins.ts`. */
export function serverPinsPath(os: OperatingSystem, folder: string): string {
  return (os === "windows" ? win32 : posix).join(folder, "known_servers.json");
}
