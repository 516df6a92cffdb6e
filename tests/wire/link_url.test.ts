import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import * as ids from "../../src/wire/ids.ts";
import {
  formatAddress,
  formatLink,
  type InviteLink,
  type Link,
  LinkError,
  type LinkErrorCode,
  parseAddress,
  parseLink,
  type ServerLink,
} from "../../src/wire/link_url.ts";
import { assertProperty } from "../support/property.ts";
import { bytesOf } from "./samples.ts";

const sha256 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash("sha256").update(bytes).digest());

const hosts = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6(), fc.constant("localhost"));
const base = {
  host: hosts.map((host) => host.toLowerCase()),
  port: fc.integer({ min: 1, max: 65535 }),
  relayKey: bytesOf(32).map(ids.relayKey),
};
const links: fc.Arbitrary<Link> = fc.oneof(
  fc.record<ServerLink>({ kind: fc.constant("server"), ...base }, { noNullPrototype: true }),
  fc.record<InviteLink>({
    kind: fc.constant("invite"),
    ...base,
    room: bytesOf(16).map(ids.roomId),
    adminFingerprint: bytesOf(16).map(ids.fingerprint),
    roomSecret: bytesOf(32).map(ids.roomSecret),
    inviteSecret: bytesOf(16).map(ids.inviteSecret),
  }, { noNullPrototype: true }),
);

function refuses(text: string, code: LinkErrorCode): void {
  assert.throws(() => parseLink(text, sha256), (error) => {
    assert.ok(error instanceof LinkError, String(error));
    assert.equal(error.code, code, `${text}: ${error.message}`);
    assert.match(error.message, /stm:\/\/203\.0\.113\.7:5000\/#/);
    return true;
  });
}

const relayKey = ids.relayKey(new Uint8Array(32).fill(7));
const server: Link = { kind: "server", host: "203.0.113.7", port: 5000, relayKey };
const serverText = formatLink(server, sha256);

Deno.test("parseLink() reads what formatLink() wrote", () => {
  assertProperty(fc.property(links, (link) => {
    const text = formatLink(link, sha256);
    assert.deepEqual(parseLink(text, sha256), link);
    // The slash may be missing, the scheme and host in capitals, white space around it.
    const [address = "", data = ""] = text.split("/#");
    assert.deepEqual(parseLink(`\n ${address.toUpperCase()}#${data} `, sha256), link);
  }));
});

Deno.test("links of the layout that PROTOCOL §4 has are read", () => {
  const ascii = new TextEncoder();
  const address = ascii.encode("relay.example:443");
  const parts = [16, 16, 32, 16].map((length, i) => new Uint8Array(length).fill(i + 1));
  const body = [1, 1, ...relayKey, ...parts.flatMap((part) => [...part])];
  const check = sha256(
    new Uint8Array([...ascii.encode("stm/1 link"), 0, address.length, ...address, ...body]),
  );
  const data = new Uint8Array([...body, ...check.subarray(0, 4)]);
  assert.equal(data.length, 118);
  const text = `stm://relay.example:443/#${
    data.toBase64({ alphabet: "base64url", omitPadding: true })
  }`;
  const [room, fingerprint, roomSecret, inviteSecret] = parts;
  assert.ok(room && fingerprint && roomSecret && inviteSecret);
  const expected: Link = {
    kind: "invite",
    host: "relay.example",
    port: 443,
    relayKey,
    room: ids.roomId(room),
    adminFingerprint: ids.fingerprint(fingerprint),
    roomSecret: ids.roomSecret(roomSecret),
    inviteSecret: ids.inviteSecret(inviteSecret),
  };
  assert.deepEqual(parseLink(text, sha256), expected);
  assert.equal(formatLink(expected, sha256), text);
});

Deno.test("every damaged or shortened link is a LinkError, and never another link", () => {
  assertProperty(
    fc.property(links, fc.nat(), fc.constantFrom(..."AQz_-/#:%= é"), (link, place, character) => {
      const text = formatLink(link, sha256);
      const at = place % text.length;
      for (
        const damaged of [text.slice(0, at), text.slice(0, at) + character + text.slice(at + 1)]
      ) {
        if (damaged.toLowerCase() === text.toLowerCase() && damaged === text) continue;
        try {
          assert.deepEqual(parseLink(damaged, sha256), link, damaged);
        } catch (error) {
          if (!(error instanceof LinkError)) throw error;
        }
      }
    }),
  );
});

Deno.test("any text is a link or a LinkError", () => {
  const texts = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string().map((s) => `stm://${s}`),
    fc.string().map((s) => `stm://203.0.113.7:5000/#${s}`),
    bytesOf(40).map((b) => `stm://a:1#${b.toBase64({ alphabet: "base64url" })}`),
  );
  assertProperty(fc.property(texts, (text) => {
    try {
      parseLink(text, sha256);
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
    }
  }));
});

Deno.test("what is wrong with a link has a code and a sentence with an example", () => {
  const data = serverText.split("#")[1] ?? "";
  refuses("", "not-a-link");
  refuses("https://203.0.113.7:5000/#AQ", "not-a-link");
  refuses(`stm://:5000/#${data}`, "bad-host");
  refuses(`stm://a b:5000/#${data}`, "bad-host");
  refuses(`stm://999.1.1.1:5000/#${data}`, "bad-host");
  refuses(`stm://[::zz]:5000/#${data}`, "bad-host");
  refuses(`stm://[::1/#${data}`, "bad-host");
  refuses(`stm://::1:5000/#${data}`, "bad-host");
  refuses(`stm://203.0.113.7/#${data}`, "bad-port");
  refuses(`stm://203.0.113.7:0/#${data}`, "bad-port");
  refuses(`stm://203.0.113.7:05000/#${data}`, "bad-port");
  refuses(`stm://203.0.113.7:65536/#${data}`, "bad-port");
  refuses("stm://203.0.113.7:5000", "bad-data");
  refuses("stm://203.0.113.7:5000/#", "bad-data");
  refuses(`stm://203.0.113.7:5000/room#${data}`, "bad-data");
  refuses(`stm://203.0.113.7:5000/#${data}=`, "bad-data");
  refuses(`stm://203.0.113.7:5000/#${data}%`, "bad-data");
  refuses(`stm://203.0.113.8:5000/#${data}`, "damaged");
  refuses(`stm://203.0.113.7:5001/#${data}`, "damaged");
  refuses(serverText.slice(0, -4), "damaged");
  refuses(withData([2, 0, ...relayKey]), "unsupported");
  refuses(withData([1, 2, ...relayKey]), "unsupported");
  refuses(withData([]), "unsupported");
  refuses(withData([1, 0, ...relayKey, 0]), "bad-data");
  refuses(withData([1, 1, ...relayKey]), "bad-data");
});

/** A link with right check bytes around any data. */
function withData(body: number[]): string {
  const ascii = new TextEncoder();
  const address = "203.0.113.7:5000";
  const check = sha256(
    new Uint8Array([
      ...ascii.encode("stm/1 link"),
      0,
      address.length,
      ...ascii.encode(address),
      ...body,
    ]),
  );
  const data = new Uint8Array([...body, ...check.subarray(0, 4)]);
  return `stm://${address}/#${data.toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

Deno.test("the message of a LinkError repeats neither the data nor control characters", () => {
  const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
  for (const text of [`stm://203.0.113.7:5000/#${secret}`, `stm://\x1b[31m:1/#${secret}`]) {
    try {
      parseLink(text, sha256);
      assert.fail("it is no link");
    } catch (error) {
      assert.ok(error instanceof LinkError);
      assert.ok(!error.message.includes(secret));
      assert.ok(!error.message.includes("\x1b"));
    }
  }
});

Deno.test("formatLink() refuses an address that parseLink() would not read", () => {
  for (const [host, port] of [["", 5000], ["a/b", 5000], ["a", 0], ["a", 70000]] as const) {
    assert.throws(() => formatLink({ ...server, host, port }, sha256), LinkError);
  }
});

Deno.test("formatAddress() puts IPv6 addresses in brackets, parseAddress() takes them off", () => {
  assert.equal(formatAddress("FE80::1", 1), "[fe80::1]:1");
  assert.deepEqual(parseAddress("[fe80::1]:1"), { host: "fe80::1", port: 1 });
  assert.throws(() => parseAddress("example.org"), LinkError);
});
