import assert from "node:assert/strict";
import { BlockList, isIP } from "node:net";
import fc from "fast-check";
import {
  formatIp,
  formatRange,
  ipOf,
  isIn,
  isInAny,
  neighbourhoodOf,
  parseIp,
  parseRange,
} from "../../src/transport/address_range.ts";
import { assertProperty } from "../support/property.ts";

const one = (text: string) => parseIp(text) ?? assert.fail(text);
const range = (text: string) => parseRange(text) ?? assert.fail(text);

Deno.test("an address has one form, however it is written", () => {
  const forms: readonly (readonly [string, string])[] = [
    ["203.0.113.7", "203.0.113.7"],
    ["::ffff:203.0.113.7", "203.0.113.7"],
    ["::ffff:cb00:7107", "203.0.113.7"],
    ["[2001:DB8::1]", "2001:db8::1"],
    ["2001:db8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["fe80::1%eth0", "fe80::1"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
  ];
  for (const [text, form] of forms) assert.equal(formatIp(one(text)), form, text);
});

Deno.test("what is no address or range is refused", () => {
  const addresses = [
    ..."|1.2.3|1.2.3.256|01.2.3.4|1.2.3.4.5|:|:::|1::2::3|1:2:3:4:5:6:7|1:2:3:4:5:6:7:8:9".split(
      "|",
    ),
    ..."12345::|::1.2.3|g::|localhost|1.2.3.4 |-1.2.3.4|1:2:3:4:5:6:7::8".split("|"),
  ];
  for (const text of addresses) {
    assert.equal(parseIp(text), null, text);
    assert.equal(parseRange(`${text}/8`), null, text);
  }
  for (const text of ["1.2.3.4/33", "1.2.3.4/", "1.2.3.4/-1", "::/129", "1.2.3.4/8/8", "::/a"]) {
    assert.equal(parseRange(text), null, text);
  }
});

Deno.test("ranges and addresses agree with node's own list of blocked addresses", () => {
  const v4 = fc.ipV4();
  const v6 = fc.ipV6();
  const cases = fc.oneof(
    fc.record({ ip: v4, first: v4, bits: fc.nat(32), family: fc.constant("ipv4" as const) }),
    fc.record({ ip: v6, first: v6, bits: fc.nat(128), family: fc.constant("ipv6" as const) }),
  );
  assertProperty(fc.property(cases, fc.nat(15), ({ ip, first, bits, family }, kept) => {
    const list = new BlockList();
    list.addSubnet(first, bits, family);
    const text = `${first}/${bits}`;
    assert.equal(isIn(one(ip), range(text)), list.check(ip, family), `${ip} in ${text}`);
    // An address near the range, which differs in its later bytes at most.
    const near = one(first).map((byte, i) => i <= kept ? byte : one(ip)[i] ?? 0);
    const shown = formatIp(near);
    if (isIP(shown) === (family === "ipv4" ? 4 : 6)) {
      assert.equal(isIn(near, range(text)), list.check(shown, family), `${shown} in ${text}`);
    }
  }));
});

Deno.test("what is printed is read as the same", () => {
  assertProperty(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(32), (text, bits) => {
    const ip = one(text);
    assert.deepEqual(one(formatIp(ip)), ip);
    const read = range(`${text}/${bits}`);
    assert.deepEqual(range(formatRange(read)), read);
    assert.ok(isIn(ip, read));
  }));
  assert.equal(formatRange(range("203.0.113.77/24")), "203.0.113.0/24");
  assert.equal(formatRange(range("::ffff:0:0/96")), "0.0.0.0/0");
  assert.equal(formatRange(range("203.0.113.7/32")), "203.0.113.7");
});

Deno.test("limits take all addresses of one IPv6 customer for one, and every IPv4 address by itself", () => {
  const named = (address: string) => neighbourhoodOf(`${address}:5000`);
  assert.equal(named("[2001:db8:1:23ff::1]"), named("[2001:db8:1:2300:9::9]"));
  assert.notEqual(named("[2001:db8:1:2300::1]"), named("[2001:db8:1:2400::1]"));
  assert.notEqual(named("203.0.113.7"), named("203.0.113.8"));
  assert.equal(named("203.0.113.7"), "203.0.113.7");
  assert.equal(named("[::ffff:203.0.113.7]"), named("203.0.113.7"));
  assert.equal(named("[::ffff:cb00:7107]"), named("203.0.113.7"));
  assert.equal(named("unknown"), null);
  assert.equal(neighbourhoodOf(""), null);
});

Deno.test("isInAny() looks through all ranges, and finds nothing that is no address in any", () => {
  const ranges = [range("198.51.100.0/24"), range("2001:db8::/32")];
  assert.equal(isInAny("198.51.100.7:5000", ranges), true);
  assert.equal(isInAny("[2001:db8:9::1]:5000", ranges), true);
  assert.equal(isInAny("203.0.113.7:5000", ranges), false);
  assert.equal(isInAny("203.0.113.7:5000", []), false);
  assert.equal(isInAny("unknown:0", [range("0.0.0.0/0"), range("::/0")]), false);
});

Deno.test("ipOf() finds the address in front of a port", () => {
  assert.deepEqual(ipOf("203.0.113.7:5000"), one("203.0.113.7"));
  assert.deepEqual(ipOf("[2001:db8::1]:5000"), one("2001:db8::1"));
  assert.equal(ipOf("unknown:0"), null);
  assert.equal(ipOf(""), null);
});
