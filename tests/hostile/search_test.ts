import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { needle, Search } from "../support/process_memory.ts";

Deno.test("the search finds a text in each form, alone and across two pieces, and finds nothing in noise", () => {
  const text = "the eagle lands at noon";
  const raw = Buffer.from(text);
  const forms = [
    raw,
    Buffer.from(text, "utf16le"),
    Buffer.from(text, "utf16le").swap16(),
    Buffer.from(raw.toString("hex")),
    Buffer.from(raw.toString("hex").toUpperCase()),
    ...["", "a", "ab"].map((before) => Buffer.from(Buffer.from(before + text).toString("base64"))),
    Buffer.from(Buffer.from(text).toString("base64url")),
  ];
  const noise = crypto.getRandomValues(new Uint8Array(5000));
  for (const form of forms) {
    const all = Buffer.concat([noise, form, noise]);
    for (const cut of [0, noise.length + 5, all.length]) {
      const search = new Search([needle("it", text)]);
      search.push(all.subarray(0, cut));
      search.push(all.subarray(cut));
      assert.ok(search.has("it"), form.toString("latin1"));
    }
  }
  const search = new Search([needle("it", text)]);
  search.push(noise);
  assert.equal(search.found.size, 0);
});
