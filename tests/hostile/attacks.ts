import type { Attack } from "./attack.ts";
import { RELAY_ATTACKS } from "./attacks_relay.ts";

/** All of the table. */
export const ATTACKS: readonly Attack[] = [...RELAY_ATTACKS];
