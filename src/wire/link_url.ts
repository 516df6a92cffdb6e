/**
 * Links: what people send to each other to find a relay, or a room on it.
 *
 * @see docs/PROTOCOL.md §4
 * @module
 */
import { type Bytes, type Codec, constant, decode, encode, struct, WireError } from "./codec.ts";
import { linkCheckInput } from "./contexts.ts";
import {
  FINGERPRINT,
  type Fingerprint,
  INVITE_SECRET,
  type InviteSecret,
  RELAY_KEY,
  type RelayKey,
  ROOM_ID,
  ROOM_SECRET,
  type RoomId,
  type RoomSecret,
  sameBytes,
} from "./ids.ts";

/** Names a relay; no secret. */
export interface ServerLink {
  /** A server link. */
  readonly kind: "server";
  /** Name, IPv4 or IPv6 address, in lower case and without brackets. */
  readonly host: string;
  /** 1 to 65,535. */
  readonly port: number;
  /** The pin. */
  readonly relayKey: RelayKey;
}

/** Names a room on a relay, and lets in: as secret as the room. */
export interface InviteLink {
  /** An invite. */
  readonly kind: "invite";
  /** Name, IPv4 or IPv6 address, in lower case and without brackets. */
  readonly host: string;
  /** 1 to 65,535. */
  readonly port: number;
  /** The pin. */
  readonly relayKey: RelayKey;
  /** Which room. */
  readonly room: RoomId;
  /** Who has to administer it. */
  readonly adminFingerprint: Fingerprint;
  /** The room's. */
  readonly roomSecret: RoomSecret;
  /** This invite's. */
  readonly inviteSecret: InviteSecret;
}

/** What a link says. */
export type Link = ServerLink | InviteLink;

/** What is wrong with a link. */
export type LinkErrorCode =
  | "not-a-link"
  | "bad-host"
  | "bad-port"
  | "bad-data"
  | "damaged"
  | "unsupported";

const EXAMPLE = "stm://203.0.113.7:5000/#AQ...";

/**
 * A text is no link. The message is for the person who gave it, and shows what a link looks like; it
 * never repeats the data, which may be secret.
 */
export class LinkError extends Error {
  /** What is wrong; code branches on this. */
  readonly code: LinkErrorCode;

  /**
   * Makes the error; its message ends with an example.
   *
   * @param code what is wrong
   * @param detail the sentence about it
   */
  constructor(code: LinkErrorCode, detail: string) {
    super(`${detail}; a link looks like ${EXAMPLE}`);
    this.name = "LinkError";
    this.code = code;
  }
}

/** SHA-256, which this folder does not have. */
export type Sha256 = (bytes: Bytes) => Uint8Array;

const VERSION = 1;
const CHECK_BYTES = 4;
const SERVER = 0;
const INVITE = 1;

interface ServerData {
  version: number;
  type: number;
  relayKey: RelayKey;
}

interface InviteData extends ServerData {
  room: RoomId;
  adminFingerprint: Fingerprint;
  roomSecret: RoomSecret;
  inviteSecret: InviteSecret;
}

const SERVER_DATA: Codec<Readonly<ServerData>> = struct<ServerData>({
  version: constant(VERSION),
  type: constant(SERVER),
  relayKey: RELAY_KEY,
});

const INVITE_DATA: Codec<Readonly<InviteData>> = struct<InviteData>({
  version: constant(VERSION),
  type: constant(INVITE),
  relayKey: RELAY_KEY,
  room: ROOM_ID,
  adminFingerprint: FINGERPRINT,
  roomSecret: ROOM_SECRET,
  inviteSecret: INVITE_SECRET,
});

const BASE64URL = { alphabet: "base64url", omitPadding: true } as const;

/**
 * Reads `HOST:PORT`.
 *
 * ```ts
 * import { parseAddress } from "./link_url.ts";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(parseAddress("Relay.example:5000"), { host: "relay.example", port: 5000 });
 * assert.deepEqual(parseAddress("[::1]:5000"), { host: "::1", port: 5000 });
 * ```
 *
 * @throws {LinkError} `bad-host` or `bad-port`
 */
export function parseAddress(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(":");
  const hostText = (colon < 0 || text.endsWith("]") ? text : text.slice(0, colon)).toLowerCase();
  const portText = colon < 0 || text.endsWith("]") ? "" : text.slice(colon + 1);
  if (hostText === "") throw new LinkError("bad-host", "the address has no host");
  const inBrackets = /^\[([0-9a-f:.]+)\]$/.exec(hostText)?.[1];
  // A port of the example's: the URL parser is asked about the host alone.
  const isHost = inBrackets === undefined
    ? /^[a-z0-9._-]{1,253}$/.test(hostText) && URL.canParse(`http://${hostText}:1/`)
    : URL.canParse(`http://${hostText}:1/`);
  if (!isHost) {
    throw new LinkError("bad-host", `"${printable(hostText)}" is no host name or address`);
  }
  if (portText === "") throw new LinkError("bad-port", "the address has no port");
  const port = /^[1-9][0-9]{0,4}$/.test(portText) ? Number(portText) : 0;
  if (port < 1 || port > 65_535) {
    throw new LinkError("bad-port", `"${printable(portText)}" is no port from 1 to 65535`);
  }
  return { host: inBrackets ?? hostText, port };
}

/** `HOST:PORT` in lower case, an IPv6 address in brackets. */
export function formatAddress(host: string, port: number): string {
  const lower = host.toLowerCase();
  return `${lower.includes(":") ? `[${lower}]` : lower}:${port}`;
}

/** Foreign text for an error message: short, and ASCII only. */
function printable(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 60)}...` : text;
  return short.replace(/[^\x20-\x7e]/g, "?");
}

/**
 * Reads a server link or an invite; white space around it is passed over.
 *
 * @param sha256 for the check bytes
 * @throws {LinkError} with a sentence for the person who gave the text
 */
export function parseLink(text: string, sha256: Sha256): Link {
  const match = /^stm:\/\/([^/#?]*)(.*)$/is.exec(text.trim());
  if (match === null) throw new LinkError("not-a-link", "the link does not begin with stm://");
  const { host, port } = parseAddress(match[1] ?? "");
  const after = match[2] ?? "";
  const base64 = /^\/?#(.*)$/s.exec(after)?.[1];
  if (base64 === undefined || base64 === "") {
    throw new LinkError("bad-data", "the link has nothing after a #, it was cut off");
  }
  const data = fromBase64url(base64);
  const body = checkedBody(data, formatAddress(host, port), sha256);
  return readBody(body, host, port);
}

function fromBase64url(text: string): Bytes {
  let data: Bytes;
  try {
    data = Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch {
    throw new LinkError("bad-data", "the part after # is damaged: it has other characters");
  }
  // Decoders overlook padding and stray bits; then two texts would be one link.
  if (data.toBase64(BASE64URL) !== text) {
    throw new LinkError("bad-data", "the part after # is damaged: it was changed at its end");
  }
  return data;
}

/** The data without its check bytes, which were compared. */
function checkedBody(data: Bytes, address: string, sha256: Sha256): Bytes {
  const end = Math.max(0, data.length - CHECK_BYTES);
  const body = data.slice(0, end);
  const check = sha256(linkCheckInput(address, body)).subarray(0, CHECK_BYTES);
  if (!sameBytes(check, data.subarray(end))) {
    throw new LinkError("damaged", "the link is damaged or incomplete: ask for it again");
  }
  return body;
}

function readBody(body: Bytes, host: string, port: number): Link {
  const [version, type] = body;
  if (version !== VERSION || (type !== SERVER && type !== INVITE)) {
    throw new LinkError("unsupported", "the link was made by a newer stm");
  }
  try {
    if (type === SERVER) {
      const { relayKey } = decode(SERVER_DATA, body, "server link");
      return { kind: "server", host, port, relayKey };
    }
    const { relayKey, room, adminFingerprint, roomSecret, inviteSecret } = decode(
      INVITE_DATA,
      body,
      "invite",
    );
    const ids = { relayKey, room, adminFingerprint, roomSecret, inviteSecret };
    return { kind: "invite", host, port, ...ids };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new LinkError("bad-data", "the part after # has a wrong length");
  }
}

/**
 * The link as people pass it on.
 *
 * @param sha256 for the check bytes
 * @throws {LinkError} if host or port could not be read back
 */
export function formatLink(link: Link, sha256: Sha256): string {
  const address = formatAddress(link.host, link.port);
  parseAddress(address);
  const body = link.kind === "server"
    ? encode(SERVER_DATA, { version: VERSION, type: SERVER, relayKey: link.relayKey })
    : encode(INVITE_DATA, { ...link, version: VERSION, type: INVITE });
  const check = sha256(linkCheckInput(address, body)).subarray(0, CHECK_BYTES);
  const data = new Uint8Array(body.length + CHECK_BYTES);
  data.set(body);
  data.set(check, body.length);
  return `stm://${address}/#${data.toBase64(BASE64URL)}`;
}
