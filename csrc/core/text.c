#include "core/text.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum { SMALLEST = 64 };

void ks_text_init(ks_text *text, size_t maximum, ks_text_kind kind) {
    *text = (ks_text){.maximum = maximum, .kind = kind};
}

static void release(ks_text *text) {
    if (text->kind == KS_TEXT_SECRET && text->data != NULL)
        OPENSSL_cleanse(text->data, text->capacity);
    free(text->data);
}

void ks_text_cleanup(ks_text *text) {
    release(text);
    ks_text_init(text, text->maximum, text->kind);
}

void ks_text_clear(ks_text *text) {
    /* All of it, not only `size` bytes: reserved room may have been written and not been meant. */
    if (text->kind == KS_TEXT_SECRET && text->data != NULL)
        OPENSSL_cleanse(text->data, text->capacity);
    text->size = 0;
    text->failed = false;
}

void ks_text_recycle(ks_text *text, size_t keep) {
    if (text->capacity > keep)
        ks_text_cleanup(text);
    else
        ks_text_clear(text);
}

static bool fail(ks_text *text) {
    text->failed = true;
    return false;
}

static bool move_to(ks_text *text, size_t capacity) {
    char *data;
    if (text->kind == KS_TEXT_PLAIN) {
        data = realloc(text->data, capacity);
        if (data == NULL)
            return false;
    } else {
        /* realloc may leave a copy behind that nobody can wipe any more. */
        data = malloc(capacity);
        if (data == NULL)
            return false;
        if (text->size > 0)
            memcpy(data, text->data, text->size);
        release(text);
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

bool ks_text_reserve(ks_text *text, size_t more) {
    if (text->failed)
        return false;
    if (more <= text->capacity - text->size)
        return true;
    if (text->size > text->maximum || more > text->maximum - text->size)
        return fail(text);

    size_t wanted = text->size + more;
    size_t capacity = text->capacity < SMALLEST ? SMALLEST : text->capacity;
    while (capacity < wanted)
        capacity = capacity > text->maximum / 2 ? text->maximum : capacity * 2;
    if (capacity > text->maximum)
        capacity = text->maximum; /* which may be below SMALLEST */
    return move_to(text, capacity) || fail(text);
}
