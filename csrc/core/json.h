/* A strict reader of JSON text (RFC 8259) that copies nothing and builds no values.
 *
 * What it hands out are lexemes: spans of the caller's text, exactly as written, a string with its
 * quotes. Numbers are never converted, so `12.50` stays `12.50`. Every entry point validates what
 * it passes over, in one pass; text that was not validated first is safe to walk.
 *
 * Decided where RFC 8259 leaves room, and the same everywhere in this library:
 *   - text must be well-formed UTF-8 (no overlong forms, no encoded surrogates), without a BOM;
 *   - `\u` surrogates must come in pairs, because half of one cannot be written as UTF-8;
 *   - any value may stand at the top; duplicate keys are allowed, and the last one counts;
 *   - nesting ends at KS_JSON_DEPTH_MAX and text at KS_JSON_SIZE_MAX; there is no recursion.
 */
#ifndef KS_JSON_H
#define KS_JSON_H

#include "core/text.h"

#include <stdint.h>

#define KS_JSON_DEPTH_MAX 64                 /* arrays and objects inside each other */
#define KS_JSON_SIZE_MAX  (64 * 1024 * 1024) /* bytes of one text */

/* Why a text was refused, and where: `reason` is a constant for people, `offset` counts bytes from
 * the start of the text that was given. */
typedef struct ks_json_fault {
    const char *reason;
    size_t offset;
} ks_json_fault;

typedef enum ks_json_type {
    KS_JSON_ABSENT, /* no value was there */
    KS_JSON_NULL,
    KS_JSON_FALSE,
    KS_JSON_TRUE,
    KS_JSON_NUMBER,
    KS_JSON_STRING,
    KS_JSON_ARRAY,
    KS_JSON_OBJECT
} ks_json_type;

typedef struct ks_json_value {
    ks_json_type type;
    bool escaped;   /* a string with at least one backslash */
    ks_span lexeme; /* a string's includes its quotes; no whitespace around it */
} ks_json_value;

/* Whole documents --------------------------------------------------------------------------- */

/* Whether the text is one JSON value with nothing but whitespace around it. `value` (may be NULL)
 * receives it; on failure `fault` (may be NULL) says why. */
bool ks_json_check(const char *text, size_t size, ks_json_value *value, ks_json_fault *fault);

/* The members of an object ------------------------------------------------------------------- */

/* A walk over one object. Set up by `start`, then `next` until it does not answer MEMBER:
 *
 *     ks_json_members walk;
 *     ks_json_value key, value;
 *     ks_json_members_start(&walk, text, size);
 *     while ((step = ks_json_members_next(&walk, &key, &value)) == KS_JSON_MEMBER) …
 *     if (step == KS_JSON_BAD) … walk.fault …
 *
 * The object may have whitespace around it, nothing else. Fields but `fault` are private. */
typedef struct ks_json_members {
    const char *start;
    const char *at;
    const char *end;
    enum { KS_JSON_BEFORE_OBJECT, KS_JSON_IN_OBJECT, KS_JSON_AFTER_OBJECT } place;
    ks_json_fault fault;
} ks_json_members;

typedef enum ks_json_step {
    KS_JSON_MEMBER, /* `key` and `value` are set */
    KS_JSON_END,    /* the object ended well, and the text with it */
    KS_JSON_BAD     /* `walk.fault` says why; further calls answer the same */
} ks_json_step;

void ks_json_members_start(ks_json_members *walk, const char *text, size_t size);
ks_json_step ks_json_members_next(ks_json_members *walk, ks_json_value *key, ks_json_value *value);

/* Strings ----------------------------------------------------------------------------------- */

/* Appends the text a string stands for, as UTF-8. The lexeme must be one the reader gave out.
 * False when `out` could not take it. `\u0000` is a zero byte like any other. */
bool ks_json_unescape(ks_span lexeme, ks_text *out);

/* Whether a string stands for exactly these bytes. */
bool ks_json_string_is(ks_json_value string, const char *bytes, size_t size);

/* The platform's answer ---------------------------------------------------------------------- */

/* `{"code":0,"msg":"…","data":…}` [api.md 3], members in any order, unknown ones passed over,
 * the last of duplicates taken. */
typedef struct ks_json_envelope {
    int32_t code;
    ks_json_value msg;  /* a string, or KS_JSON_ABSENT when it is missing or anything else */
    ks_json_value data; /* KS_JSON_ABSENT when missing; `data.lexeme` is ready for a decoder */
} ks_json_envelope;

/* Reads and validates the whole answer in one pass. False, with `fault`, when the text is not one
 * JSON object or `code` is not an integer of 32 bits written without fraction or exponent. The
 * spans point into `text`. */
bool ks_json_envelope_read(const char *text, size_t size, ks_json_envelope *envelope,
                           ks_json_fault *fault);

/* A flat picture of a whole document ---------------------------------------------------------- */

/* Nodes in the order of the text. An object's children are key, value, key, value …; `next` is the
 * index of the first node that is not inside this one. */
typedef struct ks_json_node {
    uint32_t begin; /* offsets of the lexeme in the text */
    uint32_t end;
    uint32_t next;
    uint8_t type; /* a ks_json_type */
    bool escaped;
} ks_json_node;

typedef struct ks_json_tape {
    ks_json_node *nodes;
    uint32_t count;
    uint32_t capacity;
} ks_json_tape;

/* A tape of zero bytes ({0}) is empty and ready. `read` reuses its memory. */
bool ks_json_tape_read(ks_json_tape *tape, const char *text, size_t size, ks_json_fault *fault);
void ks_json_tape_cleanup(ks_json_tape *tape);

/* The node of a member's value in the object at node `object`, the last of duplicates; 0, which is
 * nobody's member, when there is none. `text` is what was read. */
uint32_t ks_json_tape_member(const ks_json_tape *tape, const char *text, uint32_t object,
                             ks_span name);

#endif
