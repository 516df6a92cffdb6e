import type { Notice } from "../session/notice.ts";
import type { SessionView } from "../session/view.ts";
import type { UserIntent } from "../session/intent.ts";

/**
 * One way a session can look. Thin: it draws what it is given and gives back what the person wants.
 * `--ui line`, `--ui json` and later `tui` and `web` are the implementations.
 */
export interface Face {
  /** Shows one thing that happened. Never throws, never waits for the person. */
  notice(notice: Notice): void;
  /** The state after a step, for status lines and completion. */
  view(view: SessionView): void;
  /** What the person wants, in order; ends after `end` or when the face is closed. */
  intents(): AsyncIterable<UserIntent>;
  /** Restores the terminal and waits until all output has left the process. */
  close(): Promise<void>;
}
