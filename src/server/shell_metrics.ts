/**
 * Metrics and health over HTTP: `/metrics`, `/healthz` (the process answers), `/readyz` (it takes new
 * people). Meant for loopback or a network of the operator's own: there is no login.
 *
 * @module
 */
import { METRICS_TYPE } from "./metrics_page.ts";
import type { ListenAddress } from "../transport/listen.ts";

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
  const server = Deno.serve({
    hostname: address.host,
    port: address.port,
    signal: abort.signal,
    onListen: () => {},
  }, (request) => answer(request, source));
  return {
    address: { host: address.host, port: server.addr.port },
    close: async () => {
      abort.abort();
      await server.finished;
    },
  };
}

function answer(request: Request, source: MetricsSource): Response {
  const { pathname } = new URL(request.url);
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
