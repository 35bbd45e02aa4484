/* Growing bytes that may be secret: wiped before their memory is given back. Private to the engine;
 * who puts bytes in keeps to a named maximum. */
#ifndef KS_CURL_BYTES_H
#define KS_CURL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct {
    char *data; /* NULL while nothing was reserved */
    size_t len, capacity;
} ks_bytes;

/* Room for `more` bytes. False: no memory, and nothing changed. */
bool ks_bytes_reserve(ks_bytes *bytes, size_t more);

/* Appends; the room must have been reserved. */
static inline void ks_bytes_put(ks_bytes *bytes, const char *data, size_t len) {
    if (data && len > 0) {
        memcpy(bytes->data + bytes->len, data, len);
        bytes->len += len;
    }
}

/* Wipes and empties; a block of usual size stays for the next use. */
void ks_bytes_clear(ks_bytes *bytes);
void ks_bytes_free(ks_bytes *bytes);

#endif
