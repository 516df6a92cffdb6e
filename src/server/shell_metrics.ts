/**
 * Metrics and health over HTTP: `/metrics`, `/healthz` (the process answers), `/readyz` (it takes new
 * people). Meant for loopback or a network of the operator's own: there is no login.
 *
 * @module
 */
import { METRICS_TYPE } from "./metrics_page.ts";
import type { ListenAddress } from "../transport/listen.ts";

/** After an end that nobody wanted. */
const OPEN_AGAIN_MS = 500;

/** What is served. */
export interface MetricsSource {
  /** The Prometheus page. */
  page(): string;
  /** Whether new people are taken. */
  ready(): boolean;
}

/** A running listener. */
export interface MetricsListener {
  /** As bound; the port also if 0 was asked for. */
  readonly address: ListenAddress;
  /** Ends it, with what it is in the middle of. */
  close(): Promise<void>;
}

/**
 * Serves the pages until `close`.
 *
 * @throws {Error} of the system if the address cannot be had
 */
export function serveMetrics(address: ListenAddress, source: MetricsSource): MetricsListener {
  const abort = new AbortController();
  const open = ({ host, port }: ListenAddress) =>
    Deno.serve({
      hostname: host,
      port,
      signal: abort.signal,
      onListen: () => {},
    }, (request) => answer(request, source));
  let server = open(address);
  const bound = { host: address.host, port: server.addr.port };
  const served = (async () => {
    while (!await finished(server, abort.signal)) {
      try {
        server = open(bound);
      } catch {
        // There are no descriptors yet, as before: the next time, then.
      }
    }
  })();
  return {
    address: bound,
    close: async () => {
      abort.abort();
      await served;
    },
  };
}

/**
 * Waits for a server's end. `Deno.serve` ends with the first accept that fails (Deno 2.9), as while a flood
 * leaves no descriptors; it is to be opened again, a moment later.
 *
 * @returns whether it was told to end
 */
async function finished(server: Deno.HttpServer, signal: AbortSignal): Promise<boolean> {
  try {
    await server.finished;
  } catch {
    if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, OPEN_AGAIN_MS));
  }
  return signal.aborted;
}

function answer(request: Request, source: MetricsSource): Response {
  // What stands as the host is a stranger's, and may be no part of a URL.
  const pathname = /^https?:\/\/[^/]*([^?#]*)/.exec(request.url)?.[1] ?? "";
  if (request.method !== "GET" && request.method !== "HEAD") {
    return plain(405, "only GET\n", { allow: "GET, HEAD" });
  }
  switch (pathname) {
    case "/metrics":
      return plain(200, source.page(), { "content-type": METRICS_TYPE });
    case "/healthz":
      return plain(200, "ok\n");
    case "/readyz":
      return source.ready() ? plain(200, "ready\n") : plain(503, "not ready\n");
    default:
      return plain(404, "there are /metrics, /healthz and /readyz\n");
  }
}

function plain(status: number, body: string, headers: Record<string, string> = {}): Response {
  return new Response(body, {
    status,
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "cache-control": "no-store",
      ...headers,
    },
  });
}
