// stm/1 as docs/PROTOCOL.md §2 and §3 have it: everybody enters a keyed room as a member, each with
// a ticket of its own, signed by a room key that is made here.
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load.h"

enum {
  BROADCAST = 0x01,
  CHALLENGE = 0x10,
  START = 0x11,
  ENTER = 0x12,
  ENTERED = 0x13,
  PING = 0x1a,
  PONG = 0x1b,
  REFUSED = 0x1c,
  CLOSING = 0x1d,
};

#define KEY_BYTES 32
#define SIGNATURE_BYTES 64
#define ROOM_BYTES 16
#define NONCE_BYTES 32
#define TICKET_BODY_BYTES 120
#define TICKET_BYTES (TICKET_BODY_BYTES + SIGNATURE_BYTES)
#define CREDENTIAL_BYTES (KEY_BYTES + TICKET_BYTES + SIGNATURE_BYTES)
#define PREFIX_BYTES (1 + 2 * ROOM_BYTES)  // of a BROADCAST: type, room, handle
#define MEMBER 1
#define ROOM_MEMBERS 1500  // more links than that do not speak; a relay takes 2,000 in a room

static struct room {
  EVP_PKEY *key;
  uint8_t public[KEY_BYTES], id[ROOM_BYTES];
} rooms[16];

// By link id, made before the load so that a handshake costs the generator little.
static struct seat {
  EVP_PKEY *gate_key;
  uint8_t ticket[TICKET_BYTES];
} *seats;
static int seat_count;

static void be(uint8_t *out, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; i--, value >>= 8) out[i] = value;
}

static EVP_PKEY *make_key(uint8_t public_key[KEY_BYTES]) {
  EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  size_t length = KEY_BYTES;
  if (key == NULL || EVP_PKEY_get_raw_public_key(key, public_key, &length) != 1) abort();
  return key;
}

// Sign(key, kind, body) of §1.
static void sign(EVP_PKEY *key, const char *kind, const uint8_t *body, size_t count, uint8_t *out) {
  uint8_t input[512];
  size_t head = sprintf((char *)input, "stm/1 %s", kind) + 1;
  size_t length = SIGNATURE_BYTES;
  memcpy(input + head, body, count);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  if (EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
      EVP_DigestSign(context, out, &length, input, head + count) != 1) {
    abort();
  }
  EVP_MD_CTX_free(context);
}

static struct room *room_of(struct link *c) {
  size_t index = c->id / ROOM_MEMBERS;
  if (index >= sizeof rooms / sizeof *rooms) abort();
  return &rooms[index];
}

static void stm_prepare(struct link *c) {
  struct room *room = room_of(c);
  if (room->key == NULL) {
    uint8_t hash[SHA256_DIGEST_LENGTH];
    room->key = make_key(room->public);
    SHA256(room->public, KEY_BYTES, hash);
    memcpy(room->id, hash, ROOM_BYTES);
    room->id[0] &= 0x7f;
  }
  if (c->id >= seat_count) {
    seat_count = (c->id + 1) * 2;
    seats = realloc(seats, seat_count * sizeof *seats);
  }
  struct seat *seat = &seats[c->id];
  uint8_t gate_public[KEY_BYTES];
  seat->gate_key = make_key(gate_public);
  memset(seat->ticket, 0, sizeof seat->ticket);
  memcpy(seat->ticket, room->id, ROOM_BYTES);
  be(seat->ticket + 16, 1, 8);
  be(seat->ticket + 24, (uint64_t)time(NULL) + 3600, 8);
  memcpy(seat->ticket + 32, gate_public, KEY_BYTES);
  sign(room->key, "ticket", seat->ticket, TICKET_BODY_BYTES, seat->ticket + TICKET_BODY_BYTES);
}

static void stm_start(struct link *c) { (void)c; }  // the relay speaks first

// The relay key is the last 32 bytes of the certificate's SubjectPublicKeyInfo.
static void relay_key_of(struct link *c, uint8_t out[KEY_BYTES]) {
  X509 *certificate = SSL_get1_peer_certificate(c->ssl);
  size_t length = KEY_BYTES;
  if (certificate == NULL ||
      EVP_PKEY_get_raw_public_key(X509_get0_pubkey(certificate), out, &length) != 1) {
    link_fail(c, "no Ed25519 certificate");
  }
  X509_free(certificate);
}

static void enter(struct link *c, const uint8_t *nonce) {
  const struct room *room = room_of(c);
  uint8_t signed_part[NONCE_BYTES + KEY_BYTES + ROOM_BYTES + 1];
  memcpy(signed_part, nonce, NONCE_BYTES);
  relay_key_of(c, signed_part + NONCE_BYTES);
  if (c->state == DEAD) return;
  memcpy(signed_part + NONCE_BYTES + KEY_BYTES, room->id, ROOM_BYTES);
  signed_part[sizeof signed_part - 1] = MEMBER;

  uint8_t frames[6 + 4 + 1 + ROOM_BYTES + 1 + 2 + CREDENTIAL_BYTES];
  uint8_t *p = frames;
  be(p, 2, 4), p[4] = START, p[5] = 1, p += 6;
  be(p, sizeof frames - 10, 4), p[4] = ENTER, p += 5;
  memcpy(p, room->id, ROOM_BYTES), p += ROOM_BYTES;
  *p++ = MEMBER;
  be(p, CREDENTIAL_BYTES, 2), p += 2;
  memcpy(p, room->public, KEY_BYTES), p += KEY_BYTES;
  memcpy(p, seats[c->id].ticket, TICKET_BYTES), p += TICKET_BYTES;
  sign(seats[c->id].gate_key, "enter", signed_part, sizeof signed_part, p);
  link_send(c, frames, sizeof frames);
}

// The relay answers nothing to START, so a question goes with it.
static void greet(struct link *c) {
  static const uint8_t frames[] = {0, 0, 0, 2, START, 1, 0, 0, 0, 9, PING, 0, 0, 0, 0, 0, 0, 0, 0};
  link_send(c, frames, sizeof frames);
}

static void stm_message(struct link *c, uint8_t *body, size_t length) {
  switch (body[0]) {
    case BROADCAST:
      message_arrived(c, body + PREFIX_BYTES, length - PREFIX_BYTES);
      return;
    case CHALLENGE:
      if (c->sends || c->receives) enter(c, body + 3);
      else greet(c);
      return;
    case PONG:
      link_ready(c);
      return;
    case ENTERED:
      memcpy(c->address, body + 1, 2 * ROOM_BYTES);
      link_ready(c);
      return;
    case PING: {
      uint8_t pong[13] = {0, 0, 0, 9, PONG};
      memcpy(pong + 5, body + 1, 8);
      link_send(c, pong, sizeof pong);
      return;
    }
    case REFUSED:
      fprintf(stderr, "load: REFUSED %.*s\n", (int)length - 21, body + 21);
      return;
    case CLOSING:
      fprintf(stderr, "load: CLOSING %.*s\n", (int)length - 5, body + 5);
  }
}

static size_t stm_take(struct link *c, uint8_t *bytes, size_t count) {
  size_t at = 0;
  while (count - at >= 4 && c->state != DEAD) {
    uint8_t *p = bytes + at;
    size_t length = (size_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
    if (count - at - 4 < length) break;
    stm_message(c, p + 4, length);
    at += 4 + length;
  }
  return at;
}

static size_t stm_frame(struct link *c, uint8_t *out, const uint8_t *payload, size_t count) {
  be(out, PREFIX_BYTES + count, 4);
  out[4] = BROADCAST;
  memcpy(out + 5, c->address, 2 * ROOM_BYTES);
  memcpy(out + 4 + PREFIX_BYTES, payload, count);
  return 4 + PREFIX_BYTES + count;
}

const struct protocol STM = {"stm", false, stm_prepare, stm_start, stm_take, stm_frame};
