// What the parts of the load generator share. One thread, epoll, OpenSSL, loopback only.
#ifndef LOAD_H
#define LOAD_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

enum link_state { WAITING, CONNECTING, BEFORE_TLS, HANDSHAKE, ENTERING, READY, DEAD };

// One connection to the server under load.
struct link {
  int fd, id;
  enum link_state state;
  bool sends, receives;  // its part in the room
  bool counted;          // whether what it receives is counted
  bool wants_write;      // whether epoll waits until it can be written to
  SSL *ssl;
  struct buffer in, out;
  uint64_t received;     // messages
  uint32_t sent;         // messages, the number of the last one
  uint64_t began_ns;
  uint8_t address[32];   // stm: room id and handle
};

// How a server is spoken to.
struct protocol {
  const char *name;
  bool server_speaks_first;  // a line in plain text, before TLS
  void (*prepare)(struct link *);  // before anything is measured; may be null
  void (*start)(struct link *);    // after the TLS handshake
  size_t (*take)(struct link *, uint8_t *bytes, size_t count);  // returns how many it has used
  size_t (*frame)(struct link *, uint8_t *out, const uint8_t *payload, size_t count);
};

// Room that a frame may need beside its payload.
#define MAX_OVERHEAD 128

extern const struct protocol PLAIN, MQTT, NATS, IRC, STM;

// For the protocols (link.c, load.c).
void link_send(struct link *, const void *bytes, size_t count);
void link_ready(struct link *);
void link_fail(struct link *, const char *why);
void message_arrived(struct link *, const uint8_t *payload, size_t count);

// For load.c (link.c).
void links_open(int port, const char *cipher);
void link_connect(struct link *, const struct protocol *);
void link_queue(struct link *, const void *bytes, size_t count);
void link_flush(struct link *);
void link_stop_reading(struct link *);
void links_poll(int timeout_ms);
uint64_t now_ns(void);
extern uint64_t read_at_ns;  // when the bytes that are being taken were read
extern int links_ready, links_dead, links_opening;

#endif
