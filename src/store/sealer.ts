import type { Bytes } from "./disk.ts";

/**
 * The port through which a profile is sealed. `store` knows no cryptography: the driver hands it
 * `passphraseSealer` of `crypto/sealer.ts`, or `plainSealer` where somebody asked for no passphrase.
 */
export interface Sealer {
  /** The bytes to keep in a file. `plaintext` stays the caller's, who may wipe it. */
  seal(plaintext: Uint8Array): Promise<Bytes>;
  /** What was sealed, or why these bytes are refused; a refusal changes nothing. */
  open(sealed: Uint8Array): Promise<Opened>;
}

/** What came of opening; the plaintext is the caller's, who may wipe it. */
export type Opened =
  | { readonly kind: "opened"; readonly plaintext: Bytes }
  | { readonly kind: "refused"; readonly code: SealRefusal };

/** Why bytes cannot be opened, as far as that can be told. */
export type SealRefusal =
  /** They are plain, and we were to open sealed ones: accepting would let whoever writes the disk swap the profile. */
  | "not-sealed"
  /** They are sealed, and we have no passphrase. */
  | "sealed"
  | "newer-version"
  /** The key derivation they ask for is weaker than we accept, or a trap of time and memory. */
  | "bad-parameters"
  | "wrong-passphrase-or-damaged"
  /** The passphrase is right and the bytes are not. */
  | "damaged";
