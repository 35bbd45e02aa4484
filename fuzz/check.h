/* What the fuzz targets have in common. Each target, one file beside this one, asserts properties
 * of what it calls; libFuzzer drives it, or fuzz/replay.c over files. */
#ifndef KS_FUZZ_CHECK_H
#define KS_FUZZ_CHECK_H

#include "core/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert: a property is checked in every kind of build. */
#define CHECK(property)                                                                            \
    do {                                                                                           \
        if (!(property)) {                                                                         \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #property);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Whether `part` lies inside `whole`. */
static inline bool lies_inside(ks_span part, ks_span whole) {
    return part.data >= whole.data && part.size <= whole.size &&
           (size_t)(part.data - whole.data) <= whole.size - part.size;
}

static inline bool same_bytes(ks_span a, ks_span b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline ks_span span_of(const ks_text *text) {
    return (ks_span){text->data, text->size};
}

/* The input, taken from its front. What is asked of an input that has ended is zero or empty. */
typedef struct source {
    const uint8_t *data;
    size_t size;
} source;

static inline uint8_t take_byte(source *from) {
    if (from->size == 0)
        return 0;
    from->size--;
    return *from->data++;
}

static inline uint32_t take_number(source *from) {
    uint32_t high = take_byte(from);
    return high << 8 | take_byte(from);
}

static inline ks_span take_span(source *from, size_t size) {
    if (size > from->size)
        size = from->size;
    ks_span taken = {(const char *)from->data, size};
    from->data += size;
    from->size -= size;
    return taken;
}

#endif
