import assert from "node:assert/strict";
import { HeardIn } from "../../src/crypto/heard_in.ts";

const CLAIM_AHEAD = 64;

Deno.test("HeardIn knows of each that anybody asks about in which epoch it was heard last", () => {
  const heard = new HeardIn();
  for (let epoch = 1; epoch <= 1000; epoch++) {
    const oldest = Math.max(0, epoch - CLAIM_AHEAD);
    heard.hear("owl", 1, oldest);
    heard.hear(`guest ${epoch}`, epoch, oldest);
    heard.hear("fox", epoch, oldest);
    heard.hear("fox", epoch - 1, oldest);
    for (let past = oldest + 1; past <= epoch; past++) {
      assert.ok(heard.after(`guest ${past}`, past - 1));
      assert.ok(!heard.after(`guest ${past}`, past));
      assert.equal(heard.after("fox", past), past < epoch);
    }
  }
  assert.ok(heard.size < 4 * CLAIM_AHEAD, `${heard.size}`);
});
