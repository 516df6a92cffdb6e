// The floor: what a C loop with epoll and OpenSSL does, without rooms, limits or accounting. Frames
// are `u32 length ‖ payload`, to everybody else. What came in one turn is written in one piece.
//
//   floor PORT CERTIFICATE KEY
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"

#define READ_BYTES (1 << 18)
#define RECORD_BYTES 16384

struct member {
  int fd, index;  // -1 until the handshake is over
  bool wants_write, dirty, dead;
  SSL *ssl;
  struct buffer in, out;
  struct member *next_dead;
};

static struct member **members, **dirty, *graveyard;
static int member_count, dirty_count, capacity, epoll_fd;

static void want_write(struct member *m, bool wants) {
  if (m->wants_write == wants) return;
  m->wants_write = wants;
  struct epoll_event e = {.events = EPOLLIN | (wants ? EPOLLOUT : 0), .data.ptr = m};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, m->fd, &e);
}

static void drop(struct member *m) {
  if (m->dead) return;
  m->dead = true;
  if (m->index >= 0) {
    members[m->index] = members[--member_count];
    members[m->index]->index = m->index;
  }
  SSL_free(m->ssl);
  close(m->fd);
  m->next_dead = graveyard;
  graveyard = m;
}

static void bury(void) {
  while (graveyard != NULL) {
    struct member *m = graveyard;
    graveyard = m->next_dead;
    free(m->in.bytes);
    free(m->out.bytes);
    free(m);
  }
}

static void flush(struct member *m) {
  while (!m->dead && m->out.start < m->out.end) {
    int written = SSL_write(m->ssl, m->out.bytes + m->out.start, m->out.end - m->out.start);
    if (written > 0) {
      m->out.start += written;
      continue;
    }
    int error = SSL_get_error(m->ssl, written);
    ERR_clear_error();
    if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ) want_write(m, true);
    else drop(m);
    return;
  }
  if (m->dead) return;
  m->out.start = m->out.end = 0;
  want_write(m, false);
}

static void broadcast(struct member *from, const uint8_t *frames, size_t count) {
  for (int i = 0; i < member_count; i++) {
    struct member *m = members[i];
    if (m == from) continue;
    append(&m->out, frames, count);
    if (m->dirty || m->wants_write) continue;
    m->dirty = true;
    dirty[dirty_count++] = m;
  }
}

static size_t whole_frames(const uint8_t *bytes, size_t count) {
  size_t at = 0;
  while (count - at >= 4) {
    const uint8_t *p = bytes + at;
    size_t length = 4 + ((size_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]);
    if (count - at < length) break;
    at += length;
  }
  return at;
}

static void take(struct member *m, uint8_t *bytes, size_t count) {
  if (m->in.end > 0) {
    append(&m->in, bytes, count);
    bytes = m->in.bytes;
    count = m->in.end;
  }
  size_t used = whole_frames(bytes, count);
  if (used > 0) broadcast(m, bytes, used);
  if (bytes == m->in.bytes) {
    memmove(bytes, bytes + used, count - used);
    m->in.end = count - used;
  } else if (used < count) {
    append(&m->in, bytes + used, count - used);
  }
}

static void read_all(struct member *m) {
  static uint8_t bytes[READ_BYTES];
  size_t total = 0;
  bool ended = false;
  while (total + RECORD_BYTES <= sizeof bytes) {
    int count = SSL_read(m->ssl, bytes + total, sizeof bytes - total);
    if (count > 0) {
      total += count;
      if (SSL_has_pending(m->ssl)) continue;
      break;
    }
    int error = SSL_get_error(m->ssl, count);
    ERR_clear_error();
    ended = error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
    break;
  }
  if (total > 0) take(m, bytes, total);
  if (ended) drop(m);
  else if (SSL_has_pending(m->ssl)) read_all(m);
}

static void shake_hands(struct member *m) {
  int done = SSL_do_handshake(m->ssl);
  int error = SSL_get_error(m->ssl, done);
  ERR_clear_error();
  if (done != 1) {
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) drop(m);
    return;
  }
  if (member_count == capacity) {
    capacity = capacity * 2 + 64;
    members = realloc(members, capacity * sizeof *members);
    dirty = realloc(dirty, capacity * sizeof *dirty);
    if (members == NULL || dirty == NULL) abort();
  }
  m->index = member_count;
  members[member_count++] = m;
}

static void accept_all(int listener, SSL_CTX *context) {
  int fd, one = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct member *m = calloc(1, sizeof *m);
    m->fd = fd;
    m->index = -1;
    m->ssl = SSL_new(context);
    SSL_set_fd(m->ssl, fd);
    SSL_set_accept_state(m->ssl);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = m};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
  }
}

static int listen_on(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in a = {
      .sin_family = AF_INET,
      .sin_port = htons(port),
      .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
  };
  if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 4096) != 0) {
    perror("floor");
    exit(1);
  }
  return fd;
}

static SSL_CTX *context_of(const char *certificate, const char *key) {
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_file(context, certificate, SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    exit(1);
  }
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, 32768);
  return context;
}

int main(int count, char **arguments) {
  if (count != 4) {
    fprintf(stderr, "usage: floor PORT CERTIFICATE KEY\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  struct rlimit descriptors;
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  SSL_CTX *context = context_of(arguments[2], arguments[3]);
  int listener = listen_on(atoi(arguments[1]));
  epoll_fd = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e);
  for (;;) {
    static struct epoll_event events[1024];
    int happened = epoll_wait(epoll_fd, events, 1024, -1);
    for (int i = 0; i < happened; i++) {
      struct member *m = events[i].data.ptr;
      if (m == NULL) {
        accept_all(listener, context);
      } else if (!m->dead) {
        if (m->index < 0) shake_hands(m);
        if (!m->dead && m->index >= 0 && (events[i].events & EPOLLOUT)) flush(m);
        if (!m->dead && m->index >= 0) read_all(m);
      }
    }
    for (int i = 0; i < dirty_count; i++) {
      dirty[i]->dirty = false;
      if (!dirty[i]->dead) flush(dirty[i]);
    }
    dirty_count = 0;
    bury();
  }
}
