import { step } from "../session/step.ts";
import type { SessionState } from "../session/state.ts";
import type { SessionEvent } from "../session/event.ts";
import type { Step } from "../session/effect.ts";
import { viewOf } from "../session/view_of.ts";
import type { SessionView } from "../session/view.ts";

/**
 * A client is the session and nothing more. That it accepts epochs only from the room's pinned admin is
 * checked where the keys are, in `crypto/accept_commit.ts`, before anything becomes an event.
 */
export const clientRole = {
  step: (state: SessionState, event: SessionEvent): Step<SessionState> => step(state, event),
  view: (state: SessionState): SessionView => viewOf(state, "client"),
};
