// The load generator of `deno task bench:relay`: members of one room on one server, in one thread.
//
//   load --protocol stm --port 5000 --pid PID --shape throughput --members 100 --payload 200
//
// Prints one line of JSON. Shapes:
//   throughput  as many messages as `--window` allows to be under way; 1 is one in flight
//   rate        `--rate` messages a second, each timed from when it was due
//   idle        everybody enters, nobody speaks
//   handshakes  everybody says hello and is answered, nobody enters
// The last two count from the link after the first `--first` ones, when the server is warm.
// With one sender it is an extra link that only sends (1→N); with more they are members (N→N).
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "load.h"

#define SECOND 1000000000ull
#define STAMP_BYTES 32          // time, sender and number in hex, since IRC takes text only
#define MAX_QUEUED (1 << 20)    // a sender with more to write is passed over
#define SETUP_LIMIT (120 * SECOND)
#define SETTLE_LIMIT (20 * SECOND)
#define STALL_NS (2 * SECOND)   // without any progress: what is under way is given up

static const struct protocol *const protocols[] = {&PLAIN, &MQTT, &NATS, &IRC, &STM};

static const char *protocol_name = "stm", *shape = "throughput", *cipher = "TLS_AES_256_GCM_SHA384";
static int port, server_pid, members = 10, senders = 1, payload_bytes = 200, window = 128;
static int at_once = 32;        // links that are being set up
static int first_links;         // idle and handshakes: those that warm the server up
static int aside;               // the last members, which are not counted
static int aside_read = 1;      // 0: they stop reading
static double warm_s = 1, measure_s = 2, rate = 100;

static const struct protocol *protocol;
static struct link *links;
static int link_count, counted_members;
static uint8_t *payload, *frame;
static uint64_t sent, delivered, given_up, fan_out;
static uint32_t *last_numbers;  // by receiver and sender
static uint64_t gaps, reordered, damaged;
static bool measuring;

// --- Latency: 64 buckets for each power of two ----------------------------------------------------

#define BUCKETS (64 * 64)
static uint64_t histogram[BUCKETS], timed;

static int bucket_of(uint64_t ns) {
  if (ns < 64) return ns;
  int exponent = 63 - __builtin_clzll(ns);
  return (exponent - 5) * 64 + ((ns >> (exponent - 6)) & 63);
}

static double bucket_us(int i) {
  if (i < 64) return i / 1e3;
  int exponent = i / 64 + 5;
  return ((1ull << exponent) + ((uint64_t)(i & 63) << (exponent - 6))) / 1e3;
}

static double quantile_us(double q) {
  uint64_t wanted = q * timed, seen = 0;
  for (int i = 0; i < BUCKETS; i++) {
    seen += histogram[i];
    if (seen > wanted) return bucket_us(i);
  }
  return 0;
}

// --- Messages -------------------------------------------------------------------------------------

static void put_hex(uint8_t *out, uint64_t value, int digits) {
  for (int i = digits - 1; i >= 0; i--, value >>= 4) out[i] = "0123456789abcdef"[value & 15];
}

static uint64_t get_hex(const uint8_t *in, int digits) {
  uint64_t value = 0;
  for (int i = 0; i < digits; i++) value = value << 4 | (in[i] <= '9' ? in[i] - '0' : in[i] - 'a' + 10);
  return value;
}

void message_arrived(struct link *c, const uint8_t *bytes, size_t count) {
  c->received++;
  if (!c->counted) return;
  delivered++;
  uint32_t sender = count == (size_t)payload_bytes ? get_hex(bytes + 16, 8) : UINT32_MAX;
  if (sender >= (uint32_t)senders || bytes[count - 1] != '#') {
    damaged++;
    return;
  }
  uint32_t number = get_hex(bytes + 24, 8);
  uint32_t *last = &last_numbers[(size_t)c->id * senders + sender];
  if (*last != 0 && number > *last + 1) gaps += number - *last - 1;
  if (*last != 0 && number <= *last) reordered++;
  *last = number;
  uint64_t due = get_hex(bytes, 16);
  if (measuring && due != 0) {
    histogram[bucket_of(read_at_ns > due ? read_at_ns - due : 0)]++;
    timed++;
  }
}

static bool send_message(uint64_t due_ns) {
  static int next;
  for (int tried = 0; tried < senders; tried++) {
    struct link *c = &links[next];
    next = (next + 1) % senders;
    if (c->state != READY || c->out.end - c->out.start > MAX_QUEUED) continue;
    put_hex(payload, due_ns, 16);
    put_hex(payload + 16, c->id, 8);
    put_hex(payload + 24, ++c->sent, 8);
    link_queue(c, frame, protocol->frame(c, frame, payload, payload_bytes));
    if (!c->wants_write) link_flush(c);
    sent++;
    return true;
  }
  return false;
}

static uint64_t under_way(void) { return sent * fan_out - delivered - given_up; }

static void send_what_fits(void) {
  uint64_t now = now_ns();
  for (int i = 0; i < 4096 && under_way() + fan_out <= (uint64_t)window * fan_out; i++) {
    if (!send_message(now)) return;
  }
}

// Sends what is due. @returns for how many ms nothing is
static int send_what_is_due(uint64_t began_ns) {
  static uint64_t count;
  for (;;) {
    uint64_t due = began_ns + count * (SECOND / rate), now = now_ns();
    if (due > now) return due - now > 2000000 ? (due - now) / 1000000 - 1 : 0;
    send_message(due);
    count++;
  }
}

// --- The server's processor time and memory -------------------------------------------------------

static uint64_t cpu_ns(clockid_t clock) {
  struct timespec t = {0};
  clock_gettime(clock, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

static clockid_t server_clock(void) {
  clockid_t clock;
  if (clock_getcpuclockid(server_pid, &clock) == 0) return clock;
  fprintf(stderr, "load: no process %d\n", server_pid);
  exit(2);
}

static long resident_kb(void) {
  char path[64], line[256];
  long kb = 0;
  snprintf(path, sizeof path, "/proc/%d/status", server_pid);
  FILE *file = fopen(path, "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL && sscanf(line, "VmRSS: %ld", &kb) != 1) {
  }
  if (file != NULL) fclose(file);
  return kb;
}

// --- The course of a run --------------------------------------------------------------------------

static int fail(const char *what, int count) {
  printf("{\"error\":\"%s: %d of %d\"}\n", what, count, link_count);
  return 1;
}

static void poll_for(uint64_t ns) {
  for (uint64_t end = now_ns() + ns; now_ns() < end;) links_poll(20);
}

static void set_up(int from, int to) {
  uint64_t limit = now_ns() + SETUP_LIMIT;
  for (int next = from; links_ready + links_dead < to && now_ns() < limit; links_poll(50)) {
    while (next < to && links_opening < at_once) link_connect(&links[next++], protocol);
  }
}

static int without_message(void) {
  int count = 0;
  for (int i = 0; i < link_count; i++) {
    bool only_sender = senders > 1 && i == 0;  // it sent what the others wait for
    count += links[i].receives && !only_sender && links[i].received == 0;
  }
  return count;
}

// Until everybody has had a message: a server may still be at their entering.
static bool settle(void) {
  poll_for(SECOND / 5);
  for (uint64_t limit = now_ns() + SETTLE_LIMIT; without_message() > 0;) {
    if (now_ns() > limit) return false;
    link_queue(&links[0], frame, protocol->frame(&links[0], frame, payload, payload_bytes));
    link_flush(&links[0]);
    for (uint64_t end = now_ns() + SECOND / 2; now_ns() < end && without_message() > 0;) links_poll(20);
  }
  poll_for(SECOND / 10);
  return true;
}

static int run_idle(clockid_t server) {
  set_up(0, first_links);
  poll_for(SECOND / 2);
  long kb_before = resident_kb();
  uint64_t began = now_ns(), cpu_before = cpu_ns(server), own_before = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  set_up(first_links, link_count);
  uint64_t took = now_ns() - began, cpu = cpu_ns(server), own = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  if (links_ready < link_count) return fail("ready", links_ready);
  poll_for(measure_s * SECOND);
  int counted = link_count - first_links;
  printf("{\"setup_per_s\":%.0f,\"setup_cpu_us\":%.1f,\"load_setup_cpu_us\":%.1f,"
         "\"kb_per_link\":%.2f,\"idle_cpu\":%.4f,\"rss_kb\":%ld}\n",
         counted / (took / 1e9), (cpu - cpu_before) / 1e3 / counted,
         (own - own_before) / 1e3 / counted, (double)(resident_kb() - kb_before) / counted,
         (cpu_ns(server) - cpu) / 1e9 / measure_s, resident_kb());
  return 0;
}

static void run(clockid_t server) {
  bool timed_sending = strcmp(shape, "rate") == 0;
  uint64_t began = now_ns(), from = began + warm_s * SECOND, to = from + measure_s * SECOND;
  uint64_t delivered_before = 0, sent_before = 0, cpu_before = 0, own_before = 0, measured_from = 0;
  uint64_t last_delivered = 0, last_progress = began, next_look = 0;
  int stalls = 0;
  long peak_kb = 0;
  for (;;) {
    uint64_t now = now_ns();
    if (!measuring && now >= from) {
      measuring = true;
      delivered_before = delivered, sent_before = sent, measured_from = now;
      cpu_before = cpu_ns(server), own_before = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    }
    if (now >= to) break;
    if (now >= next_look) {
      long kb = resident_kb();
      if (kb > peak_kb) peak_kb = kb;
      next_look = now + SECOND / 5;
    }
    if (timed_sending) {
      links_poll(send_what_is_due(began));
      continue;
    }
    send_what_fits();
    links_poll(20);
    if (delivered != last_delivered) {
      last_delivered = delivered;
      last_progress = now;
    } else if (now - last_progress > STALL_NS) {
      given_up += under_way();
      stalls++;
      last_progress = now;
    }
  }
  double seconds = (now_ns() - measured_from) / 1e9, cpu_s = (cpu_ns(server) - cpu_before) / 1e9;
  double own_s = (cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - own_before) / 1e9;
  uint64_t deliveries = delivered - delivered_before;
  measuring = false;
  printf("{\"messages_per_s\":%.1f,\"deliveries_per_s\":%.0f,\"cpu_us\":%.4f,\"server_use\":%.3f,"
         "\"load_use\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"peak_kb\":%ld,"
         "\"gaps\":%lu,\"reordered\":%lu,\"damaged\":%lu,\"dead\":%d,\"stalls\":%d}\n",
         (sent - sent_before) / seconds, deliveries / seconds,
         deliveries > 0 ? cpu_s * 1e6 / deliveries : 0, cpu_s / seconds, own_s / seconds,
         quantile_us(.5), quantile_us(.99), quantile_us(.999), peak_kb, gaps, reordered, damaged,
         links_dead, stalls);
}

static void read_options(int count, char **arguments) {
  const struct { const char *name; int *value; } numbers[] = {
      {"--port", &port},       {"--pid", &server_pid},        {"--members", &members},
      {"--senders", &senders}, {"--payload", &payload_bytes}, {"--window", &window},
      {"--at-once", &at_once}, {"--aside", &aside},           {"--aside-read", &aside_read},
      {"--first", &first_links},
  };
  const struct { const char *name; double *value; } reals[] = {
      {"--warm", &warm_s}, {"--seconds", &measure_s}, {"--rate", &rate}};
  const struct { const char *name; const char **value; } words[] = {
      {"--protocol", &protocol_name}, {"--shape", &shape}, {"--cipher", &cipher}};
  for (int i = 1; i < count; i += 2) {
    const char *name = arguments[i], *value = i + 1 < count ? arguments[i + 1] : "";
    bool known = false;
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
      if (strcmp(name, numbers[k].name) == 0) *numbers[k].value = atoi(value), known = true;
    for (size_t k = 0; k < sizeof reals / sizeof *reals; k++)
      if (strcmp(name, reals[k].name) == 0) *reals[k].value = atof(value), known = true;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
      if (strcmp(name, words[k].name) == 0) *words[k].value = value, known = true;
    if (known) continue;
    fprintf(stderr, "load: unknown option %s\n", name);
    exit(2);
  }
}

int main(int count, char **arguments) {
  signal(SIGPIPE, SIG_IGN);
  read_options(count, arguments);
  for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
    if (strcmp(protocols[i]->name, protocol_name) == 0) protocol = protocols[i];
  bool greets = strcmp(shape, "handshakes") == 0, idle = greets || strcmp(shape, "idle") == 0;
  counted_members = members - aside;
  if (first_links > members) return 2;
  if (protocol == NULL || senders < 1 || senders > members || payload_bytes <= STAMP_BYTES) return 2;
  if (counted_members < (senders > 1 ? senders : 1)) return 2;

  struct rlimit descriptors;
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);

  int extra = senders == 1 && !idle;  // the sender, who is no receiver
  link_count = members + extra;
  fan_out = counted_members - (senders > 1);
  links = calloc(link_count, sizeof *links);
  last_numbers = calloc((size_t)link_count * senders, sizeof *last_numbers);
  payload = malloc(payload_bytes);
  frame = malloc(payload_bytes + MAX_OVERHEAD);
  if (links == NULL || last_numbers == NULL || payload == NULL || frame == NULL) return 1;
  memset(payload, '0', STAMP_BYTES);
  memset(payload + STAMP_BYTES, 'x', payload_bytes - STAMP_BYTES);
  payload[payload_bytes - 1] = '#';
  for (int i = 0; i < link_count; i++) {
    struct link *c = &links[i];
    c->id = i;
    c->sends = i < senders && !idle;
    c->receives = i >= extra && !greets;
    c->counted = c->receives && i < extra + counted_members;
    if (protocol->prepare != NULL) protocol->prepare(c);
  }

  links_open(port, cipher);
  clockid_t server = server_clock();
  if (idle) return run_idle(server);
  set_up(0, link_count);
  if (links_ready < link_count) return fail("ready", links_ready);
  if (!settle()) return fail("without a message", without_message());
  for (int i = extra + counted_members; i < link_count && !aside_read; i++) link_stop_reading(&links[i]);
  delivered = gaps = reordered = damaged = 0;
  memset(last_numbers, 0, (size_t)link_count * senders * sizeof *last_numbers);
  run(server);
  return 0;
}
