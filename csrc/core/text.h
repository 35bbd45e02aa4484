/* Growable text with a named maximum.
 *
 * A ks_text is a value: embed it, `init` it, `cleanup` it. Appending never writes past the maximum
 * given to `init`. An append that would, or that finds no memory, writes nothing and sets `failed`,
 * which stays set until `clear`; so a chain of appends needs one check, at its end. A text marked
 * secret overwrites its old bytes before it lets go of them: when it grows, is cleared, is freed.
 */
#ifndef KS_TEXT_H
#define KS_TEXT_H

#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The value of a hexadecimal digit of either case, -1 for anything else. */
static inline int ks_hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

typedef enum ks_text_kind { KS_TEXT_PLAIN, KS_TEXT_SECRET } ks_text_kind;

/* Read `data`, `size` and `failed` freely. `data` is NULL until something is appended, is not
 * terminated by a zero, and moves when the text grows. Write through the functions; or, after a
 * successful `reserve`, write that many bytes at `data + size` and add to `size` what is meant. */
typedef struct ks_text {
    char *data;
    size_t size;
    size_t capacity;
    size_t maximum;
    ks_text_kind kind;
    bool failed;
} ks_text;

/* Allocates nothing. */
void ks_text_init(ks_text *text, size_t maximum, ks_text_kind kind);

/* Frees what the text holds and leaves it as `init` did. A text of zero bytes ({0}) may be cleaned
 * up too. */
void ks_text_cleanup(ks_text *text);

/* Empties the text and keeps its memory for the next use. */
void ks_text_clear(ks_text *text);

/* Empties the text, and gives its memory back when it has grown past `keep` bytes. */
void ks_text_recycle(ks_text *text, size_t keep);

/* Makes room for `more` bytes, so that `data` stays where it is while they are appended. */
bool ks_text_reserve(ks_text *text, size_t more);

/* Appends as described above; the source must not lie inside the text. */
static inline bool ks_text_append(ks_text *text, const void *data, size_t size) {
    if (size > text->capacity - text->size || text->failed) {
        if (!ks_text_reserve(text, size))
            return false;
    }
    if (size > 0)
        memcpy(text->data + text->size, data, size);
    text->size += size;
    return true;
}

static inline bool ks_text_append_byte(ks_text *text, char byte) {
    return ks_text_append(text, &byte, 1);
}

static inline bool ks_text_append_span(ks_text *text, ks_span span) {
    return ks_text_append(text, span.data, span.size);
}

#endif
