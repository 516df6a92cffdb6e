import { newProfile, type Profile } from "../../src/store/profile.ts";

const hex = (digits: string, bytes: number): string => digits.repeat(bytes);

/** A profile with one room of each role and something in every list. */
export function sampleProfile(): Profile {
  const core = {
    server: { host: "203.0.113.7", port: 5000, pin: hex("a1", 32) },
    adminIdentity: hex("b2", 32),
    roomSecret: hex("c3", 32),
    highestEpoch: 4,
    highestHash: hex("d4", 32),
  };
  return {
    ...newProfile(new Uint8Array(32).fill(0x5e), "owl"),
    generation: 7,
    verified: [hex("e5", 32)],
    friends: [{ name: "fox", identity: hex("e5", 32) }],
    rooms: [
      { ...core, role: "client", name: "main", roomId: hex("01", 16), openRoomKey: hex("f6", 32) },
      {
        ...core,
        role: "admin",
        name: "book club",
        roomId: hex("02", 16),
        roomKeySeed: hex("a7", 32),
        invites: [{
          id: hex("18", 8),
          secret: hex("29", 16),
          usesLeft: 1,
          expires: "2031-01-02T03:04:05.678Z",
          shared: false,
          roomSecret: hex("c3", 32),
          revoked: false,
        }],
        barred: [hex("3a", 32)],
        known: [hex("4b", 32)],
      },
    ],
  };
}
