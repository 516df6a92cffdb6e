// Connections: TCP, TLS 1.3, buffers, epoll.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define READ_BYTES (1 << 18)
#define RECORD_BYTES 16384
#define MAX_REPORTS 5

uint64_t read_at_ns;
int links_ready, links_dead, links_opening;

static int epoll_fd, server_port;
static SSL_CTX *context;
static const struct protocol *spoken;

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void drop(struct buffer *b, size_t count) {
  b->start += count;
  if (b->start < b->end) {
    memmove(b->bytes, b->bytes + b->start, b->end - b->start);
    b->end -= b->start;
  } else {
    b->end = 0;
  }
  b->start = 0;
}

void links_open(int port, const char *cipher) {
  server_port = port;
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  if (SSL_CTX_set_ciphersuites(context, cipher) != 1) {
    fprintf(stderr, "load: no cipher %s\n", cipher);
    exit(2);
  }
  SSL_CTX_set1_groups_list(context, "X25519");
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, 65536);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);  // loopback: it is our own server
}

static void watch(struct link *c) {
  struct epoll_event e = {.events = EPOLLIN | (c->wants_write ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

static void want_write(struct link *c, bool wants) {
  if (c->wants_write == wants) return;
  c->wants_write = wants;
  watch(c);
}

void link_connect(struct link *c, const struct protocol *protocol) {
  spoken = protocol;
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct sockaddr_in a = {
      .sin_family = AF_INET,
      .sin_port = htons(server_port),
      .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
  };
  c->began_ns = now_ns();
  c->state = CONNECTING;
  c->wants_write = true;
  links_opening++;
  connect(c->fd, (struct sockaddr *)&a, sizeof a);
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

void link_ready(struct link *c) {
  if (c->state != ENTERING) return;
  c->state = READY;
  links_ready++;
  links_opening--;
}

void link_fail(struct link *c, const char *why) {
  static int reports;
  if (c->state == DEAD) return;
  if (c->state == READY) links_ready--;
  else links_opening--;
  if (reports++ < MAX_REPORTS) {
    fprintf(stderr, "load: link %d ended (%s) in state %d, errno %d\n", c->id, why, c->state, errno);
    ERR_print_errors_fp(stderr);
  }
  c->state = DEAD;
  links_dead++;
  close(c->fd);
}

void link_queue(struct link *c, const void *bytes, size_t count) {
  append(&c->out, bytes, count);
}

void link_flush(struct link *c) {
  if (c->state == DEAD) return;
  while (c->out.start < c->out.end) {
    int written = SSL_write(c->ssl, c->out.bytes + c->out.start, c->out.end - c->out.start);
    if (written <= 0) {
      int error = SSL_get_error(c->ssl, written);
      ERR_clear_error();
      if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ) want_write(c, true);
      else link_fail(c, "write");
      return;
    }
    c->out.start += written;
  }
  c->out.start = c->out.end = 0;
  want_write(c, false);
}

void link_send(struct link *c, const void *bytes, size_t count) {
  link_queue(c, bytes, count);
  link_flush(c);
}

void link_stop_reading(struct link *c) {
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
}

// Nothing is copied where a read ends with a whole message.
static void take(struct link *c, uint8_t *bytes, size_t count) {
  if (c->in.end == 0) {
    size_t used = spoken->take(c, bytes, count);
    if (c->state != DEAD && used < count) append(&c->in, bytes + used, count - used);
    return;
  }
  append(&c->in, bytes, count);
  size_t used = spoken->take(c, c->in.bytes, c->in.end);
  if (c->state != DEAD && used > 0) drop(&c->in, used);
}

static void read_all(struct link *c) {
  static uint8_t bytes[READ_BYTES];
  for (bool more = true; more && c->state != DEAD;) {
    size_t total = 0;
    bool ended = false;
    while (more && total + RECORD_BYTES <= sizeof bytes) {
      int count = SSL_read(c->ssl, bytes + total, sizeof bytes - total);
      if (count > 0) {
        total += count;
        more = SSL_has_pending(c->ssl);
        continue;
      }
      int error = SSL_get_error(c->ssl, count);
      ERR_clear_error();
      more = false;
      ended = error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
    }
    read_at_ns = now_ns();
    if (total > 0) take(c, bytes, total);
    if (ended) link_fail(c, "closed by the server");
  }
}

static void begin_tls(struct link *c) {
  c->state = HANDSHAKE;
  c->ssl = SSL_new(context);
  SSL_set_fd(c->ssl, c->fd);
  SSL_set_connect_state(c->ssl);
}

// NATS: the line has to be taken byte for byte, since TLS follows.
static void take_first_line(struct link *c) {
  char line[8192];
  ssize_t count = recv(c->fd, line, sizeof line, MSG_PEEK);
  if (count < 0 && errno == EAGAIN) return;
  char *end = count > 0 ? memchr(line, '\n', count) : NULL;
  if (count <= 0) link_fail(c, "no first line");
  else if (end != NULL && recv(c->fd, line, end - line + 1, 0) > 0) begin_tls(c);
}

static void shake_hands(struct link *c) {
  int done = SSL_do_handshake(c->ssl);
  if (done == 1) {
    want_write(c, false);
    c->state = ENTERING;
    spoken->start(c);
    return;
  }
  int error = SSL_get_error(c->ssl, done);
  if (error == SSL_ERROR_WANT_READ) want_write(c, false);
  else if (error == SSL_ERROR_WANT_WRITE) want_write(c, true);
  else link_fail(c, "handshake");
}

static void connected(struct link *c) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) {
    errno = error;
    link_fail(c, "connect");
    return;
  }
  want_write(c, false);
  if (spoken->server_speaks_first) c->state = BEFORE_TLS;
  else begin_tls(c);
}

static void happened(struct link *c, uint32_t events) {
  if (c->state == CONNECTING) connected(c);
  if (c->state == BEFORE_TLS) take_first_line(c);
  if (c->state == HANDSHAKE) shake_hands(c);
  if (c->state != ENTERING && c->state != READY) return;
  if (events & EPOLLOUT) link_flush(c);
  if (c->state != DEAD && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) read_all(c);
}

void links_poll(int timeout_ms) {
  static struct epoll_event events[1024];
  int count = epoll_wait(epoll_fd, events, 1024, timeout_ms);
  for (int i = 0; i < count; i++) happened(events[i].data.ptr, events[i].events);
}
