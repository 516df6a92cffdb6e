/** The keys that a pinned relay has and is to have, as pins and profiles keep them. */
import * as v from "valibot";
import { countField, hexField } from "./fields.ts";

/** One key to come. */
export interface SavedSuccessor {
  /** 64 hex digits. */
  readonly key: string;
  /** When it comes, in seconds since 1970. */
  readonly from: number;
}

/** What is pinned for a relay. */
export interface SavedPin {
  /** 64 hex digits. */
  readonly key: string;
  /** Oldest first. */
  readonly successors: readonly SavedSuccessor[];
}

/** A field with them, oldest first. */
export const SUCCESSORS = v.array(v.looseObject({ key: hexField(32), from: countField }));

/** The field, if there is anything to put into it. */
export function successorsField(
  { successors }: SavedPin,
): { readonly successors?: SavedSuccessor[] } {
  return successors.length === 0 ? {} : { successors: successors.map((each) => ({ ...each })) };
}
