import type { Attack } from "./attack.ts";
import { AGREEMENT_ATTACKS } from "./attacks_agreement.ts";
import { ADMIN_ATTACKS } from "./attacks_admin.ts";
import { INSIDER_ATTACKS } from "./attacks_insider.ts";
import { RELAY_ATTACKS } from "./attacks_relay.ts";
import { SUCCESSION_ATTACKS } from "./attacks_succession.ts";
import { THIEF_ATTACKS } from "./attacks_thief.ts";

/** All of the table. */
export const ATTACKS: readonly Attack[] = [
  ...RELAY_ATTACKS,
  ...INSIDER_ATTACKS,
  ...ADMIN_ATTACKS,
  ...SUCCESSION_ATTACKS,
  ...AGREEMENT_ATTACKS,
  ...THIEF_ATTACKS,
];
