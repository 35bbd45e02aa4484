/* A request on its way: what the core asks to send and the engine sends. Types alone, so that
 * neither needs the other's library; a call of keysecure.core begins with one of these, and that is
 * how keysecure.curl takes it without a Lua table in between. */
#ifndef KS_WIRE_H
#define KS_WIRE_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that belong to somebody else. `data` is NULL where there is nothing, which differs from
 * nothing being in it. Not terminated by a zero. */
typedef struct ks_span {
    const char *data;
    size_t size;
} ks_span;

typedef struct ks_header {
    ks_span name;
    ks_span value;
} ks_header;

typedef struct ks_request {
    ks_span method;
    ks_span url;
    ks_span body;
    const ks_header *headers;
    size_t header_count;
    int64_t timeout_ms; /* total, from start to the last byte of the answer */
} ks_request;

#endif
