/** What a key does. Named after the effect; several keys may have the same. */
export type KeyName =
  | "enter"
  | "new-line"
  | "tab"
  | "back-tab"
  | "escape"
  | "backspace"
  | "delete"
  | "left"
  | "right"
  | "up"
  | "down"
  | "home"
  | "end"
  | "word-left"
  | "word-right"
  | "kill-to-end"
  | "kill-to-start"
  | "kill-word-left"
  | "kill-word-right"
  | "yank"
  | "redraw"
  | "interrupt"
  | "end-of-input";

/** One key, or text that was typed or pasted. */
export type Key =
  | { readonly kind: KeyName }
  | { readonly kind: "text"; readonly text: string }
  /** Text between the marks of a bracketed paste; `cut` if there was more than is taken. */
  | { readonly kind: "paste"; readonly text: string; readonly cut: boolean };

/** More of one paste is dropped, and said. Chosen: far over a message. */
export const MAX_PASTE_CHARS = 64 * 1024;

/** A sequence that has not ended by then is none. */
const MAX_SEQUENCE_CHARS = 32;

/** An ESC that nothing has followed for so long was the Escape key. */
const ESCAPE_KEY_MS = 500;

const PASTE_END = "\x1b[201~";

/**
 * Bytes of a terminal in raw mode to keys, whatever the chunks are. Understands what xterm, the
 * Linux console, tmux and Windows' virtual-terminal input send; unknown sequences do nothing.
 */
export class KeyParser {
  #decoder = new TextDecoder();
  #pending = "";
  #pendingSince = 0;
  #paste: string | null = null;
  #cut = false;

  /**
   * Takes a chunk.
   *
   * @param nowMs any clock that does not go back
   * @returns the keys that are complete now, in order
   */
  push(bytes: Uint8Array, nowMs: number): Key[] {
    const keys: Key[] = [];
    let text = this.#decoder.decode(bytes, { stream: true });
    if (
      this.#pending === "\x1b" && nowMs - this.#pendingSince > ESCAPE_KEY_MS && !/^[[O]/.test(text)
    ) {
      keys.push({ kind: "escape" });
      this.#pending = "";
    }
    text = this.#pending + text;
    this.#pending = "";
    this.#pendingSince = nowMs;
    while (text !== "") {
      const rest = this.#paste === null ? this.#key(text, keys) : this.#pasted(text, keys);
      if (rest === text) {
        this.#pending = text;
        break;
      }
      text = rest;
    }
    return keys;
  }

  /** Takes one key off the front; returns `text` itself if more must come first. */
  #key(text: string, keys: Key[]): string {
    const typed = /^[^\p{Cc}]+/u.exec(text)?.[0];
    if (typed !== undefined) {
      keys.push({ kind: "text", text: typed });
      return text.slice(typed.length);
    }
    if (!text.startsWith("\x1b")) {
      const name = CONTROLS[text.slice(0, 1)];
      if (name !== undefined) keys.push({ kind: name });
      return text.slice(1);
    }
    const sequence = SEQUENCE.exec(text)?.[0];
    if (sequence === undefined) {
      return UNFINISHED.test(text) && text.length <= MAX_SEQUENCE_CHARS ? text : text.slice(1);
    }
    if (sequence === "\x1b[200~") {
      this.#paste = "";
      this.#cut = false;
    } else {
      const name = nameOf(sequence);
      if (name !== undefined) keys.push({ kind: name });
    }
    return text.slice(sequence.length);
  }

  #pasted(text: string, keys: Key[]): string {
    const end = text.indexOf(PASTE_END);
    if (end < 0) {
      // The end mark may be split: what could be its beginning stays.
      let tail = Math.min(PASTE_END.length - 1, text.length);
      while (!PASTE_END.startsWith(text.slice(text.length - tail))) tail--;
      this.#keepPasted(text.slice(0, text.length - tail));
      return text.slice(text.length - tail);
    }
    this.#keepPasted(text.slice(0, end));
    const pasted = (this.#paste ?? "").toWellFormed();
    keys.push({ kind: "paste", text: pasted.replaceAll(/\r\n?/g, "\n"), cut: this.#cut });
    this.#paste = null;
    return text.slice(end + PASTE_END.length);
  }

  #keepPasted(text: string): void {
    const room = MAX_PASTE_CHARS - (this.#paste ?? "").length;
    this.#paste = (this.#paste ?? "") + text.slice(0, room);
    if (text.length > room) this.#cut = true;
  }
}

// deno-lint-ignore no-control-regex -- these are the control sequences of a terminal
const SEQUENCE = /^\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~]|[^[O\x1b])/u;
// deno-lint-ignore no-control-regex -- as above
const UNFINISHED = /^\x1b(?:\[[0-?]*[ -/]*|O)?$/;

const CONTROLS: Partial<Record<string, KeyName>> = {
  "\x01": "home",
  "\x02": "left",
  "\x03": "interrupt",
  "\x04": "end-of-input",
  "\x05": "end",
  "\x06": "right",
  "\x08": "backspace",
  "\t": "tab",
  "\n": "enter",
  "\x0b": "kill-to-end",
  "\x0c": "redraw",
  "\r": "enter",
  "\x0e": "down",
  "\x10": "up",
  "\x15": "kill-to-start",
  "\x17": "kill-word-left",
  "\x19": "yank",
  "\x7f": "backspace",
};

const ALT: Partial<Record<string, KeyName>> = {
  "b": "word-left",
  "B": "word-left",
  "f": "word-right",
  "F": "word-right",
  "d": "kill-word-right",
  "D": "kill-word-right",
  "\x7f": "kill-word-left",
  "\x08": "kill-word-left",
  "\r": "new-line",
  "\n": "new-line",
};

const FINALS: Partial<Record<string, KeyName>> = {
  "A": "up",
  "B": "down",
  "C": "right",
  "D": "left",
  "F": "end",
  "H": "home",
  "Z": "back-tab",
};

/** `ESC [ number ~`, as VT220 and its heirs number them. */
const NUMBERED: Partial<Record<string, KeyName>> = {
  "1": "home",
  "3": "delete",
  "4": "end",
  "7": "home",
  "8": "end",
};

/** What an arrow does with Alt or Ctrl held. */
const MODIFIED: Partial<Record<KeyName, KeyName>> = {
  "left": "word-left",
  "right": "word-right",
  "delete": "kill-word-right",
};

function nameOf(sequence: string): KeyName | undefined {
  if (!/^.[[O]/s.test(sequence)) return ALT[sequence.slice(1)];
  const last = sequence.slice(-1);
  const [number = "", modifier = ""] = sequence.slice(2, -1).split(";");
  const name = last === "~" ? NUMBERED[number] : FINALS[last];
  // xterm's modifiers: 3 Alt, 5 Ctrl, 7 both; 2 (Shift) changes nothing here.
  return name !== undefined && /^[3-8]$/.test(modifier) ? MODIFIED[name] ?? name : name;
}
