/**
 * Addresses of the internet and ranges of them, as bans, limits and trusted proxies need them: one
 * form for one address, however it is written.
 *
 * @module
 */
import { writeU32 } from "../wire/codec.ts";

/** An address: 16 bytes, IPv4 as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2). */
export type Ip = Uint8Array;

/** All addresses that begin with the same bits. */
export interface AddressRange {
  /** The first of them. */
  readonly first: Ip;
  /** How many bits are the same, 0 to 128. */
  readonly bits: number;
}

const IP_BYTES = 16;
const IP_BITS = 128;
const V4_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const V4_PREFIX_BITS = 96;
const ZERO = 0x30;
const DOT = 0x2e - ZERO;
/** No character's difference to {@link ZERO}. */
const END = -1 - ZERO;
/** What one customer of a provider gets at most, commonly: who has it all counts as one. */
const V6_NEIGHBOUR_BITS = 56;

/** Reads an address; null if it is none. Brackets and the zone of a link-local one are left out. */
export function parseIp(text: string): Ip | null {
  const v4 = parseV4(text);
  if (v4 >= 0) return mapped(v4);
  const bare = text.replace(/^\[(.*)\]$/, "$1").replace(/%[\w.]+$/, "");
  return bare.includes(":") ? parseV6(bare) : mapped(parseV4(bare));
}

/** The four bytes as one number; -1 for what is none. */
function parseV4(text: string): number {
  let address = 0;
  let bytes = 0;
  let byte = -1;
  for (let i = 0; i <= text.length; i++) {
    const digit = i < text.length ? text.charCodeAt(i) - ZERO : END;
    if (digit >= 0 && digit <= 9) {
      // A leading zero is octal to some and decimal to others.
      if (byte === 0) return -1;
      byte = Math.max(0, byte) * 10 + digit;
      if (byte > 255) return -1;
    } else {
      if (byte < 0 || (digit !== END && digit !== DOT)) return -1;
      if (++bytes > 4) return -1;
      address = address * 256 + byte;
      byte = -1;
    }
  }
  return bytes === 4 ? address : -1;
}

function mapped(v4: number): Ip | null {
  if (v4 < 0) return null;
  const ip = new Uint8Array(IP_BYTES);
  ip[10] = ip[11] = 0xff;
  writeU32(ip, V4_PREFIX.length, v4);
  return ip;
}

function parseV6(text: string): Ip | null {
  // An IPv4 address may stand for the last two groups.
  const tail = /^(.*:)([\d.]+)$/.exec(text);
  const v4 = tail?.[2]?.includes(".") ? parseV4(tail[2]) : undefined;
  if (v4 === -1) return null;
  const groups16 = v4 === undefined
    ? text
    : `${tail?.[1]}${(v4 >>> 16).toString(16)}:${(v4 & 0xffff).toString(16)}`;
  const halves = groups16.split("::");
  if (halves.length > 2) return null;
  const [left = [], right] = halves.map((half) => half === "" ? [] : half.split(":"));
  const missing = 8 - left.length - (right?.length ?? 0);
  if (right === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [
    ...left,
    ...Array<string>(right === undefined ? 0 : missing).fill("0"),
    ...right ?? [],
  ];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  return Uint8Array.from(groups.flatMap((group) => {
    const value = parseInt(group, 16);
    return [value >> 8, value & 0xff];
  }));
}

/**
 * Reads `ADDRESS` or `ADDRESS/BITS`; null if it is none. Bits behind the prefix are cleared.
 */
export function parseRange(text: string): AddressRange | null {
  const [address = "", length, ...more] = text.trim().split("/");
  const ip = parseIp(address);
  if (ip === null || more.length > 0) return null;
  if (length === undefined) return { first: ip, bits: IP_BITS };
  if (!/^\d{1,3}$/.test(length)) return null;
  const isV4 = !address.includes(":");
  const bits = Number(length) + (isV4 ? V4_PREFIX_BITS : 0);
  return bits > IP_BITS ? null : { first: cleared(ip, bits), bits };
}

function cleared(ip: Ip, bits: number): Ip {
  return ip.map((byte, i) => {
    const kept = Math.min(8, Math.max(0, bits - 8 * i));
    return byte & (0xff00 >> kept);
  });
}

/** Whether an address is in a range. */
export function isIn(ip: Ip, { first, bits }: AddressRange): boolean {
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) {
    if (ip[i] !== first[i]) return false;
  }
  const rest = bits & 7;
  return rest === 0 || (((ip[whole] ?? 0) ^ (first[whole] ?? 0)) & (0xff00 >> rest) & 0xff) === 0;
}

/** Whether the address in `host:port` or `[host]:port`, if there is one, is in one of the ranges. */
export function isInAny(hostPort: string, ranges: readonly AddressRange[]): boolean {
  const ip = ranges.length === 0 ? null : ipOf(hostPort);
  return ip !== null && ranges.some((range) => isIn(ip, range));
}

/** An address as people write it (RFC 5952). */
export function formatIp(ip: Ip): string {
  if (isV4(ip)) return ip.subarray(12).join(".");
  const groups = Array.from(
    { length: IP_BYTES / 2 },
    (_, i) => ((ip[2 * i] ?? 0) << 8 | (ip[2 * i + 1] ?? 0)).toString(16),
  );
  const text = groups.join(":");
  // The longest run of zero groups, the first of several, of two at least.
  const runs = [...text.matchAll(/(?<![^:])0(:0)+(?![^:])/g)];
  const longest = runs.reduce((best, run) => run[0].length > best.length ? run[0] : best, "");
  if (longest === "") return text;
  const at = runs.find((run) => run[0] === longest)?.index ?? 0;
  return `${text.slice(0, at).replace(/:$/, "")}::${
    text.slice(at + longest.length).replace(/^:/, "")
  }`;
}

/** A range as people write it; a single address without its length. */
export function formatRange({ first, bits }: AddressRange): string {
  if (bits === IP_BITS) return formatIp(first);
  const v4 = isV4(first) && bits >= V4_PREFIX_BITS;
  return `${formatIp(first)}/${v4 ? bits - V4_PREFIX_BITS : bits}`;
}

/**
 * What stands in limits for the address in `host:port` or `[host]:port`: of IPv6 the first 56 bits,
 * since one machine may have 2^64 addresses and one customer 2^72. Null if there is none.
 */
export function neighbourhoodOf(hostPort: string): string | null {
  const host = hostOf(hostPort);
  // Asked for each connection that comes and goes, most of them by IPv4, which has one form.
  if (parseV4(host) >= 0) return host;
  const ip = parseIp(host);
  if (ip === null) return null;
  return isV4(ip) ? formatIp(ip) : formatRange({
    first: cleared(ip, V6_NEIGHBOUR_BITS),
    bits: V6_NEIGHBOUR_BITS,
  });
}

/** The address in `host:port` or `[host]:port`; null if there is none. */
export function ipOf(hostPort: string): Ip | null {
  return parseIp(hostOf(hostPort));
}

function hostOf(hostPort: string): string {
  return hostPort.slice(0, Math.max(0, hostPort.lastIndexOf(":")));
}

function isV4(ip: Ip): boolean {
  return V4_PREFIX.every((byte, i) => ip[i] === byte);
}
