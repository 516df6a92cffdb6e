/** Statements about a relay's next key, signed by whom a test likes, and who says them. */
import { signWithRelayKey } from "../../src/transport/server_key.ts";
import { encode } from "../../src/wire/codec.ts";
import { relayKey, signature } from "../../src/wire/ids.ts";
import {
  KEY_CHANGE_BODY,
  type KeyChange,
  type KeyChangeStatement,
} from "../../src/wire/key_change.ts";
import { signatureInput, signedOf } from "../../src/wire/signed.ts";
import { challenge } from "../../src/wire/ids.ts";
import { frameRelayMessage } from "../../src/wire/relay_message.ts";
import { RecordedLink } from "./recorded_link.ts";
import type { TestRelayKey } from "./relay_key.ts";
import { TestRelay } from "./test_relay.ts";

/** When the changes of tests come, in seconds since 1970, unless they say. */
export const COMES_S = 1_800_000_000;

/**
 * One statement.
 *
 * @param more other times, or other keys than those that sign and come
 * @param signer who signs it in truth
 */
export async function statementOf(
  old: TestRelayKey,
  next: TestRelayKey,
  more: Partial<KeyChange> = {},
  signer: TestRelayKey = old,
): Promise<KeyChangeStatement> {
  const change: KeyChange = {
    old: relayKey(old.pin),
    next: relayKey(next.pin),
    from: COMES_S,
    until: COMES_S + 1000,
    ...more,
  };
  const input = signatureInput("key-change", encode(KEY_CHANGE_BODY, change));
  const made = await signWithRelayKey(signer.keyPem, input);
  return signedOf(KEY_CHANGE_BODY, change, signature(made));
}

/** What a relay says first: its statements if it has any, and CHALLENGE. */
export function firstWords(statements: readonly KeyChangeStatement[]): Uint8Array {
  const spoken = [
    ...(statements.length === 0 ? [] : [frameRelayMessage({ kind: "key-changes", statements })]),
    frameRelayMessage({
      kind: "challenge",
      minVersion: 1,
      maxVersion: 1,
      nonce: challenge(new Uint8Array(32)),
      maxFrame: 65_536,
      access: 0,
    }),
  ];
  return Uint8Array.from(spoken.flatMap((bytes) => [...bytes]));
}

/** A listener with a key that says this to everybody; `heard` has what came back from each. */
export class Speaker implements AsyncDisposable {
  readonly heard: RecordedLink[] = [];
  #relay: TestRelay | null = null;

  static async start(key: TestRelayKey, words: Uint8Array): Promise<Speaker> {
    const speaker = new Speaker();
    speaker.#relay = await TestRelay.start({
      onLink: (link) => {
        speaker.heard.push(new RecordedLink(link));
        link.write(words, () => {});
      },
    }, key);
    return speaker;
  }

  get port(): number {
    return this.#relay?.listener.port ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#relay?.[Symbol.asyncDispose]();
  }
}
