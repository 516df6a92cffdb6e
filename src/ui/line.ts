import { colorDepth } from "./colors.ts";
import type { Face } from "./face.ts";
import { pipeFace } from "./line_pipe.ts";
import { screenFace } from "./line_screen.ts";
import type { LookEnv, Terminal } from "./terminal.ts";

/** What {@linkcode lineFace} needs. */
export interface LineFaceOptions {
  /** The keyboard and the screen, or the pipes in their place. */
  readonly terminal: Terminal;
  /** False for a role that takes no commands, such as the relay: then the keyboard is left alone. */
  readonly input?: boolean;
  /** False for `--no-color`. */
  readonly color?: boolean;
  /** The environment; without it no colours are assumed to be unwanted. */
  readonly env?: LookEnv;
  /** Go on after the end of stdin (`--listen`). */
  readonly listen?: boolean;
  /** The clock for the times before lines. */
  readonly now?: () => Date;
}

/**
 * `--ui line`: one line after the other. On a terminal with a line editor at the bottom that stays
 * intact while messages come; into a pipe, or with TERM=dumb, plain lines without a single escape
 * sequence, for programs and screen readers.
 */
export function lineFace(options: LineFaceOptions): Face {
  const onScreen = options.terminal.isTerminal && options.terminal.hasEscapes;
  const settings = {
    terminal: options.terminal,
    depth: onScreen ? colorDepth(options.env ?? {}, options.color) : "none",
    takesInput: options.input ?? true,
    listen: options.listen ?? false,
    now: options.now ?? (() => new Date()),
  } as const;
  return onScreen && settings.takesInput ? screenFace(settings) : pipeFace(settings);
}
