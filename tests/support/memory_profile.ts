import type { SessionProfile } from "../../src/driver/session_profile.ts";
import type { SigningKey } from "../../src/crypto/session_keys.ts";
import { newProfile, type Profile, type SavedRoom } from "../../src/store/profile.ts";

/** A profile that is in memory alone, and as durable as the test that holds it. */
export function memoryProfile(
  name: string,
  identity: SigningKey,
  rooms: readonly SavedRoom[] = [],
): SessionProfile {
  // Nobody opens it again by its seed.
  let profile: Profile = { ...newProfile(new Uint8Array(32), name), rooms };
  const store = {
    path: `memory/${name}`,
    get profile() {
      return profile;
    },
    update(change: (profile: Profile) => Profile): Promise<void> {
      profile = change(profile);
      return Promise.resolve();
    },
    save(saved: Profile): Promise<void> {
      profile = saved;
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return { name, store, identity, sealed: false };
}
