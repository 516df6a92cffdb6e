// Bytes that grow at the end and are taken from the front: of the load generator, and of the C loop under load.
#ifndef BUFFER_H
#define BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct buffer {
  uint8_t *bytes;
  size_t start, end, capacity;
};

static inline void append(struct buffer *b, const void *bytes, size_t count) {
  if (b->end + count > b->capacity) {
    b->capacity = (b->end + count) * 2;
    b->bytes = realloc(b->bytes, b->capacity);
    if (b->bytes == NULL) abort();
  }
  memcpy(b->bytes + b->end, bytes, count);
  b->end += count;
}

#endif
