import type { Notice } from "../session/notice.ts";
import type { SessionView } from "../session/view.ts";
import { type Block, line } from "./block.ts";
import type { ColorDepth } from "./colors.ts";
import { qrRows } from "./qr.ts";
import { blockOf } from "./words.ts";

/** The screen that a notice is told for; `null` for a pipe. */
export interface Screen {
  /** In character cells. */
  readonly columns: number;
  /** In character cells. */
  readonly rows: number;
  /** The colours to paint with. */
  readonly depth: ColorDepth;
}

/** Puts notices into words; knows the view and what has been told already. */
export class Narrator {
  /** The last view, for prompts and completion. */
  view: SessionView | null = null;
  #now: () => Date;
  #agreement = new Map<string, string>();
  /** What was last told, if that was a failure. */
  #error: string | null = null;

  /** Begins without a view; `now` is for the times before what happens. */
  constructor(now: () => Date) {
    this.#now = now;
  }

  /** Words for a notice; `null` for what a person need not read (again). */
  tell(notice: Notice, screen: Screen | null): Block | null {
    // Who asks is told again.
    if (notice.type === "members") this.#agreement.delete(notice.roomId);
    if (notice.type === "agreement" && !this.#isNews(notice)) return null;
    // A session that cannot begin says why, and ends for that reason.
    const known = this.#error;
    const isError = notice.type === "error" || notice.type === "disconnected";
    this.#error = isError ? notice.message : null;
    // Of a room that ends it, the failure begins with the room's name.
    const isTold = notice.type === "bye" && known !== null &&
      (known === notice.reason || known.endsWith(`: ${notice.reason}`));
    if (isTold) return null;
    const block = blockOf(notice, {
      me: this.view?.me ?? null,
      manyRooms: (this.view?.rooms.length ?? 0) > 1,
      now: this.#now(),
      times: screen !== null,
    });
    if (block === null || screen === null || notice.type !== "invite") return block;
    const code = qrRows(notice.url, screen, screen.depth !== "none");
    return "columns" in code
      ? {
        lines: [
          ...block.lines,
          line([`(its QR code needs a window of ${code.columns} × ${code.rows})`]),
        ],
      }
      : { ...block, picture: { rows: code, columns: [...code[0] ?? ""].length } };
  }

  /** That all agree is told once, however many they become; else every change is worth a line. */
  #isNews(notice: Extract<Notice, { type: "agreement" }>): boolean {
    const { agree, of, differ, behind, silent } = notice;
    const told = agree === of ? "all" : JSON.stringify([agree, of, differ, behind, silent]);
    const news = this.#agreement.get(notice.roomId) !== told;
    this.#agreement.set(notice.roomId, told);
    return news;
  }
}
