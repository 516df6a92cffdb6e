// The peers' protocols, as far as broadcasting in one room takes them.
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "load.h"

static void say(struct link *c, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  link_send(c, text, length);
}

// --- u32 length and payload, to everybody else: the C loop and the bare node:tls loop ------------

static void plain_start(struct link *c) { link_ready(c); }

static size_t plain_take(struct link *c, uint8_t *bytes, size_t count) {
  size_t at = 0;
  while (count - at >= 4) {
    uint8_t *p = bytes + at;
    size_t length = (size_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
    if (count - at - 4 < length) break;
    message_arrived(c, p + 4, length);
    at += 4 + length;
  }
  return at;
}

static size_t plain_frame(struct link *c, uint8_t *out, const uint8_t *payload, size_t count) {
  (void)c;
  out[0] = count >> 24;
  out[1] = count >> 16;
  out[2] = count >> 8;
  out[3] = count;
  memcpy(out + 4, payload, count);
  return count + 4;
}

const struct protocol PLAIN = {"plain", false, NULL, plain_start, plain_take, plain_frame};

// --- MQTT 5: one topic, QoS 0, a subscription that leaves one's own out ---------------------------

static void mqtt_start(struct link *c) {
  uint8_t packet[32];
  int id_length = snprintf((char *)packet + 15, 16, "c%d", c->id);
  packet[0] = 0x10;
  packet[1] = 13 + id_length;
  memcpy(packet + 2, "\0\4MQTT\5\2\0\0\0\0", 12);
  packet[14] = id_length;
  link_send(c, packet, 15 + id_length);
}

static void mqtt_packet(struct link *c, uint8_t type, const uint8_t *body, size_t length) {
  static const uint8_t subscribe[] = {0x82, 10, 0, 1, 0, 0, 4, 'r', 'o', 'o', 'm', 0x04};
  if (type == 2 && body[1] != 0) link_fail(c, "CONNACK");
  else if (type == 2 && c->receives) link_send(c, subscribe, sizeof subscribe);
  else if (type == 2 || type == 9) link_ready(c);
  else if (type == 3) {
    size_t at = 2 + (body[0] << 8 | body[1]);
    at += 1 + body[at];  // properties: fewer than 128 bytes of them
    message_arrived(c, body + at, length - at);
  }
}

static size_t mqtt_take(struct link *c, uint8_t *bytes, size_t count) {
  size_t at = 0;
  while (count - at >= 2) {
    size_t length = 0, head = 1;
    bool complete = false;
    for (int shift = 0; head < count - at && head < 5 && !complete; shift += 7) {
      uint8_t b = bytes[at + head++];
      length |= (size_t)(b & 127) << shift;
      complete = !(b & 128);
    }
    if (!complete || count - at - head < length) break;
    mqtt_packet(c, bytes[at] >> 4, bytes + at + head, length);
    at += head + length;
  }
  return at;
}

static size_t mqtt_frame(struct link *c, uint8_t *out, const uint8_t *payload, size_t count) {
  (void)c;
  size_t at = 0, length = 7 + count;
  out[at++] = 0x30;
  do {
    out[at++] = (length & 127) | (length > 127 ? 128 : 0);
    length >>= 7;
  } while (length > 0);
  memcpy(out + at, "\0\4room\0", 7);
  memcpy(out + at + 7, payload, count);
  return at + 7 + count;
}

const struct protocol MQTT = {"mqtt", false, NULL, mqtt_start, mqtt_take, mqtt_frame};

// --- NATS core: one subject -----------------------------------------------------------------------

static void nats_start(struct link *c) {
  say(c,
      "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":true,\"echo\":false,"
      "\"lang\":\"c\",\"version\":\"1\",\"protocol\":1}\r\n%sPING\r\n",
      c->receives ? "SUB room 1\r\n" : "");
}

static size_t nats_take(struct link *c, uint8_t *bytes, size_t count) {
  size_t at = 0;
  while (at < count) {
    uint8_t *line = bytes + at, *end = memchr(line, '\n', count - at);
    if (end == NULL) break;
    size_t used = end - line + 1;
    if (line[0] == 'M') {  // MSG room 1 LENGTH
      size_t length = 0, unit = 1;
      for (uint8_t *digit = end - 2; *digit >= '0' && *digit <= '9'; digit--, unit *= 10) {
        length += (*digit - '0') * unit;
      }
      if (count - at < used + length + 2) break;
      message_arrived(c, line + used, length);
      used += length + 2;
    } else if (line[0] == 'P' && line[1] == 'I') {
      say(c, "PONG\r\n");
    } else if (line[0] == 'P') {
      link_ready(c);
    } else if (line[0] == '-') {
      fprintf(stderr, "load: nats says %.*s", (int)used, line);
    }
    at += used;
  }
  return at;
}

static size_t nats_frame(struct link *c, uint8_t *out, const uint8_t *payload, size_t count) {
  (void)c;
  int head = sprintf((char *)out, "PUB room %zu\r\n", count);
  memcpy(out + head, payload, count);
  memcpy(out + head + count, "\r\n", 2);
  return head + count + 2;
}

const struct protocol NATS = {"nats", true, NULL, nats_start, nats_take, nats_frame};

// --- IRC: one channel -----------------------------------------------------------------------------

static void irc_start(struct link *c) {
  say(c, "NICK c%d\r\nUSER c%d 0 * :x\r\n", c->id, c->id);
}

static void irc_line(struct link *c, uint8_t *line, size_t length) {
  if (length > 5 && memcmp(line, "PING ", 5) == 0) {
    say(c, "PONG %.*s\r\n", (int)(length - 5), line + 5);
    return;
  }
  uint8_t *command = line[0] == ':' ? memchr(line, ' ', length) : NULL;
  if (command == NULL) return;
  size_t rest = length - (++command - line);
  if (rest > 8 && memcmp(command, "PRIVMSG ", 8) == 0) {
    uint8_t *text = memmem(command, rest, " :", 2);
    if (text != NULL) message_arrived(c, text + 2, length - (text + 2 - line));
  } else if (rest > 4 && memcmp(command, "001 ", 4) == 0) {
    if (c->sends || c->receives) say(c, "JOIN #room\r\n");
    else link_ready(c);
  } else if (rest > 4 && memcmp(command, "366 ", 4) == 0) {
    link_ready(c);
  }
}

static size_t irc_take(struct link *c, uint8_t *bytes, size_t count) {
  size_t at = 0;
  while (at < count && c->state != DEAD) {
    uint8_t *line = bytes + at, *end = memchr(line, '\n', count - at);
    if (end == NULL) break;
    size_t length = end - line;
    at += length + 1;
    if (length > 0 && line[length - 1] == '\r') length--;
    if (length > 0) irc_line(c, line, length);
  }
  return at;
}

static size_t irc_frame(struct link *c, uint8_t *out, const uint8_t *payload, size_t count) {
  (void)c;
  memcpy(out, "PRIVMSG #room :", 15);
  memcpy(out + 15, payload, count);
  memcpy(out + 15 + count, "\r\n", 2);
  return count + 17;
}

const struct protocol IRC = {"irc", false, NULL, irc_start, irc_take, irc_frame};
