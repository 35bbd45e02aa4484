#include "curl/bytes.h"

#include <stdlib.h>
#include <string.h>

#define KS_BYTES_FIRST ((size_t)4 << 10)
#define KS_BYTES_KEPT  ((size_t)64 << 10)

static void wipe(void *data, size_t len) {
    if (len == 0) {
        return;
    }
    memset(data, 0, len);
#if defined(__GNUC__)
    __asm__ __volatile__("" : : "r"(data) : "memory"); /* or the compiler may drop the memset */
#else
    for (volatile unsigned char *byte = data; len > 0; len--) {
        *byte++ = 0;
    }
#endif
}

void ks_bytes_free(ks_bytes *bytes) {
    wipe(bytes->data, bytes->len);
    free(bytes->data);
    *bytes = (ks_bytes){0};
}

void ks_bytes_clear(ks_bytes *bytes) {
    if (bytes->capacity > KS_BYTES_KEPT) {
        ks_bytes_free(bytes);
    }
    wipe(bytes->data, bytes->len);
    bytes->len = 0;
}

bool ks_bytes_reserve(ks_bytes *bytes, size_t more) {
    if (bytes->capacity - bytes->len >= more) {
        return true;
    }
    size_t capacity = bytes->capacity ? bytes->capacity : KS_BYTES_FIRST;
    while (capacity - bytes->len < more) {
        capacity *= 2;
    }
    char *data = malloc(capacity); /* realloc would leave a copy behind */
    if (!data) {
        return false;
    }
    if (bytes->len > 0) {
        memcpy(data, bytes->data, bytes->len);
    }
    size_t len = bytes->len;
    ks_bytes_free(bytes);
    *bytes = (ks_bytes){.data = data, .len = len, .capacity = capacity};
    return true;
}
