import assert from "node:assert/strict";
import parsePrometheus from "parse-prometheus-text-format";
import * as v from "valibot";
import { type Measurements, metricsPage } from "../../src/server/metrics_page.ts";
import { serveMetrics } from "../../src/server/shell_metrics.ts";

/** What the parser, which is somebody else's code, makes of a page. */
const Families = v.array(v.object({
  name: v.string(),
  help: v.string(),
  type: v.string(),
  metrics: v.array(v.object({
    value: v.string(),
    labels: v.optional(v.record(v.string(), v.string()), {}),
  })),
}));

const parse: (page: string) => unknown = parsePrometheus;

const MEASURED: Measurements = {
  version: "1.2.3",
  startedS: 1_700_000_000.5,
  ready: true,
  counters: {
    connections: 3,
    connectionsTotal: 17,
    rooms: 2,
    framesIn: 1234,
    bytesIn: 567_890,
    bytesOut: 9_876_543_210,
    heldBytes: 4096,
    unknownFrames: 1,
    logins: 6,
    loginsBegun: 11,
    loginsRefused: { "wrong-login": 3 },
    refused: { "rate-limited": 4, "room-full": 1 },
    closed: { flood: 2 },
  },
  sockets: 5,
  turnedAway: { "handshake-timeout": 7 },
  residentBytes: 123_456_789,
  tickDelayMs: 1.5,
};

Deno.test("a Prometheus parser reads every number of the metrics page", () => {
  const families = v.parse(Families, parse(metricsPage(MEASURED)));
  const told = families.flatMap(({ name, metrics }) =>
    metrics.map(({ value, labels }) => [name, ...Object.values(labels), Number(value)].join(" "))
  );
  assert.deepEqual(told, [
    "stm_info 1.2.3 1",
    "stm_ready 1",
    "stm_start_time_seconds 1700000000.5",
    "stm_connections 3",
    "stm_sockets 5",
    "stm_rooms 2",
    "stm_connections_total 17",
    "stm_frames_in_total 1234",
    "stm_bytes_in_total 567890",
    "stm_held_bytes 4096",
    "stm_bytes_out_total 9876543210",
    "stm_unknown_frames_total 1",
    "stm_logins_begun_total 11",
    "stm_logins_total 6",
    "stm_logins_refused_total wrong-login 3",
    "stm_refused_total rate-limited 4",
    "stm_refused_total room-full 1",
    "stm_closed_total flood 2",
    "stm_turned_away_total handshake-timeout 7",
    "stm_tick_delay_seconds 0.0015",
    "process_resident_memory_bytes 123456789",
  ]);
  for (const { name, help, type } of families) {
    assert.ok(help.endsWith("."), name);
    assert.equal(type, name.endsWith("_total") ? "COUNTER" : "GAUGE", name);
  }
});

Deno.test("health, readiness and the page are answered, everything else is refused", async () => {
  let ready = false;
  const listener = serveMetrics({ host: "127.0.0.1", port: 0 }, {
    page: () => metricsPage(MEASURED),
    ready: () => ready,
  });
  try {
    const ask = async (path: string, method = "GET") => {
      const response = await fetch(`http://127.0.0.1:${listener.address.port}${path}`, { method });
      return [response.status, await response.text()];
    };
    assert.deepEqual(await ask("/healthz"), [200, "ok\n"]);
    assert.deepEqual(await ask("/readyz"), [503, "not ready\n"]);
    ready = true;
    assert.deepEqual(await ask("/readyz"), [200, "ready\n"]);
    assert.deepEqual(await ask("/metrics"), [200, metricsPage(MEASURED)]);
    assert.equal((await ask("/"))[0], 404);
    assert.equal((await ask("/metrics", "POST"))[0], 405);
    // Whatever a stranger calls us, the answer is the same, and nothing of it is printed.
    for (const host of ["[", "a b", "h/healthz?x"]) {
      const stranger = await Deno.connect({ hostname: "127.0.0.1", port: listener.address.port });
      const asking = `GET /healthz?a HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
      await stranger.write(new TextEncoder().encode(asking));
      assert.match(await new Response(stranger.readable).text(), /^HTTP\/1\.1 200 /, host);
    }
  } finally {
    await listener.close();
  }
});
