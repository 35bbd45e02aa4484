#include "core/json.h"

#include <stdlib.h>

/* Where reading stands. Every function that reads advances `at`, or sets `fault` and answers false.
 * The bytes are read as unsigned, and `peek` says -1 at the end, which no rule accepts. */
typedef struct scanner {
    const char *start;
    const char *at;
    const char *end;
    ks_json_fault fault;
} scanner;

static bool refuse(scanner *s, const char *reason) {
    s->fault = (ks_json_fault){.reason = reason, .offset = (size_t)(s->at - s->start)};
    return false;
}

static bool begin(scanner *s, const char *text, size_t size) {
    *s = (scanner){.start = text, .at = text, .end = text + size};
    return size <= KS_JSON_SIZE_MAX || refuse(s, "the text is too large");
}

static inline int peek(const scanner *s) {
    return s->at < s->end ? (unsigned char)*s->at : -1;
}

static inline void skip_space(scanner *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

/* Strings ----------------------------------------------------------------------------------- */

/* The length of the well-formed UTF-8 sequence at `at`, 0 for anything else (Unicode 3.9, D92). */
static size_t utf8_length(const char *at, size_t left) {
    const unsigned char *byte = (const unsigned char *)at;
    unsigned lowest = 0x80, highest = 0xBF; /* of the second byte */
    size_t length;

    if (byte[0] >= 0xC2 && byte[0] <= 0xDF)
        length = 2;
    else if (byte[0] >= 0xE0 && byte[0] <= 0xEF)
        length = 3;
    else if (byte[0] >= 0xF0 && byte[0] <= 0xF4)
        length = 4;
    else
        return 0;
    if (byte[0] == 0xE0)
        lowest = 0xA0; /* below: overlong */
    else if (byte[0] == 0xED)
        highest = 0x9F; /* above: surrogates */
    else if (byte[0] == 0xF0)
        lowest = 0x90; /* below: overlong */
    else if (byte[0] == 0xF4)
        highest = 0x8F; /* above: past U+10FFFF */

    if (left < length || byte[1] < lowest || byte[1] > highest)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (byte[i] < 0x80 || byte[i] > 0xBF)
            return 0;
    }
    return length;
}

/* The code unit of the `\uXXXX` at `at`, -1 when there is none. */
static int32_t utf16_unit(const char *at, size_t left) {
    int32_t unit = 0;
    if (left < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (size_t i = 2; i < 6; i++) {
        int digit = ks_hex_digit(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* The code point of the escape at `at`, and its length in `*length`; -1 when it is none. */
static int32_t read_escape(const char *at, size_t left, size_t *length) {
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";

    if (left >= 2 && at[1] != 'u') {
        const char *letter = memchr(letters, at[1], sizeof letters - 1);
        *length = 2;
        return letter != NULL ? meanings[letter - letters] : -1;
    }
    int32_t unit = utf16_unit(at, left);
    *length = 6;
    if (unit < 0xD800 || unit > 0xDFFF)
        return unit;
    int32_t low = utf16_unit(at + 6, left - 6);
    if (unit > 0xDBFF || low < 0xDC00 || low > 0xDFFF)
        return -1;
    *length = 12;
    return 0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00);
}

/* Skips bytes that mean themselves: ASCII but controls, quotes and backslashes. Eight at a time: a
 * byte of `odd` has its high bit set where the text has something else, and perhaps, by a borrow,
 * behind such a place; so the first one is right. */
static inline const char *skip_plain(const char *at, const char *end) {
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    for (; end - at >= 8; at += 8) {
        uint64_t bytes;
        memcpy(&bytes, at, sizeof bytes);
        uint64_t quote = bytes ^ ones * '"', backslash = bytes ^ ones * '\\';
        uint64_t odd = bytes | (bytes - ones * 0x20) | (quote - ones) | (backslash - ones);
        odd &= highs;
        if (odd == 0)
            continue;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        return at + (__builtin_ctzll(odd) >> 3);
#else
        break;
#endif
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\')
        at++;
    return at;
}

static bool scan_string(scanner *s, bool *escaped) {
    *escaped = false;
    for (s->at++;;) {
        size_t length = 0;
        s->at = skip_plain(s->at, s->end);
        switch (peek(s)) {
        case '"':
            s->at++;
            return true;
        case '\\':
            if (read_escape(s->at, (size_t)(s->end - s->at), &length) < 0)
                return refuse(s, "not an escape, or half of a surrogate pair");
            *escaped = true;
            break;
        case -1:
            return refuse(s, "a string is not closed");
        default:
            if ((unsigned char)*s->at < 0x20)
                return refuse(s, "a control character inside a string");
            length = utf8_length(s->at, (size_t)(s->end - s->at));
            if (length == 0)
                return refuse(s, "not UTF-8");
        }
        s->at += length;
    }
}

static size_t write_utf8(int32_t point, char out[4]) {
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xC0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xE0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (point & 0x3F));
    return 4;
}

/* Takes the next stretch off a string's inside: either the raw bytes up to the next backslash, or
 * one escape turned into the UTF-8 of `buffer`. `data` is NULL at the end. */
static ks_span next_piece(const char **at, const char *end, char buffer[4]) {
    const char *from = *at;
    size_t left = (size_t)(end - from);
    if (left == 0)
        return (ks_span){0};
    if (*from != '\\') {
        const char *backslash = memchr(from, '\\', left);
        *at = backslash != NULL ? backslash : end;
        return (ks_span){.data = from, .size = (size_t)(*at - from)};
    }
    size_t length;
    int32_t point = read_escape(from, left, &length);
    if (point < 0) { /* not a lexeme of ours; stop rather than run past it */
        *at = end;
        return (ks_span){0};
    }
    *at = from + length;
    return (ks_span){.data = buffer, .size = write_utf8(point, buffer)};
}

bool ks_json_unescape(ks_span lexeme, ks_text *out) {
    const char *at = lexeme.data + 1, *end = lexeme.data + lexeme.size - 1;
    char buffer[4];
    ks_span piece;
    while ((piece = next_piece(&at, end, buffer)).data != NULL)
        ks_text_append_span(out, piece);
    return !out->failed;
}

bool ks_json_string_is(ks_json_value string, const char *bytes, size_t size) {
    if (string.type != KS_JSON_STRING)
        return false;
    const char *at = string.lexeme.data + 1, *end = string.lexeme.data + string.lexeme.size - 1;
    if (!string.escaped)
        return (size_t)(end - at) == size && (size == 0 || memcmp(at, bytes, size) == 0);
    char buffer[4];
    ks_span piece;
    while ((piece = next_piece(&at, end, buffer)).data != NULL) {
        if (piece.size > size || memcmp(piece.data, bytes, piece.size) != 0)
            return false;
        bytes += piece.size;
        size -= piece.size;
    }
    return size == 0;
}

/* Other scalars ------------------------------------------------------------------------------ */

static bool scan_digits(scanner *s) {
    const char *first = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > first || refuse(s, "a digit is missing");
}

static bool scan_number(scanner *s) {
    if (peek(s) == '-')
        s->at++;
    if (peek(s) == '0')
        s->at++; /* a digit right behind it is trailing garbage, which the caller finds */
    else if (!scan_digits(s))
        return false;
    if (peek(s) == '.') {
        s->at++;
        if (!scan_digits(s))
            return false;
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        return scan_digits(s);
    }
    return true;
}

static bool scan_word(scanner *s, const char *word, size_t size) {
    if ((size_t)(s->end - s->at) < size || memcmp(s->at, word, size) != 0)
        return refuse(s, "not a JSON value");
    s->at += size;
    return true;
}

/* Anything but an array or an object. */
static bool scan_scalar(scanner *s, ks_json_value *value) {
    const char *first = s->at;
    bool good;
    value->escaped = false;
    switch (peek(s)) {
    case '"':
        value->type = KS_JSON_STRING;
        good = scan_string(s, &value->escaped);
        break;
    case 'n':
        value->type = KS_JSON_NULL;
        good = scan_word(s, "null", 4);
        break;
    case 'f':
        value->type = KS_JSON_FALSE;
        good = scan_word(s, "false", 5);
        break;
    case 't':
        value->type = KS_JSON_TRUE;
        good = scan_word(s, "true", 4);
        break;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        value->type = KS_JSON_NUMBER;
        good = scan_number(s);
        break;
    case -1:
        return refuse(s, "the text ends where a value should be");
    default:
        return refuse(s, "not a JSON value");
    }
    value->lexeme = (ks_span){.data = first, .size = (size_t)(s->at - first)};
    return good;
}

/* The tape ----------------------------------------------------------------------------------- */

static bool tape_push(ks_json_tape *tape, scanner *s, const ks_json_value *value) {
    if (tape->count == tape->capacity) {
        uint32_t capacity = tape->capacity > 0 ? tape->capacity * 2 : 64;
        ks_json_node *nodes = realloc(tape->nodes, capacity * sizeof *nodes);
        if (nodes == NULL)
            return refuse(s, "out of memory");
        tape->nodes = nodes;
        tape->capacity = capacity;
    }
    uint32_t offset = (uint32_t)(value->lexeme.data - s->start);
    uint32_t index = tape->count++;
    tape->nodes[index] = (ks_json_node){
        .begin = offset,
        .end = offset + (uint32_t)value->lexeme.size,
        .next = index + 1,
        .type = (uint8_t)value->type,
        .escaped = value->escaped,
    };
    return true;
}

/* Values of any depth ------------------------------------------------------------------------ */

/* The arrays and objects that are open, innermost last. */
typedef struct nesting {
    uint32_t depth;
    uint64_t objects;                  /* bit n: level n is an object */
    uint32_t nodes[KS_JSON_DEPTH_MAX]; /* where the tape has it */
} nesting;

_Static_assert(KS_JSON_DEPTH_MAX <= 64, "the levels are bits of a uint64_t");

static inline bool inside_object(const nesting *open) {
    return open->depth > 0 && (open->objects >> (open->depth - 1) & 1) != 0;
}

static bool scan_open(scanner *s, ks_json_tape *tape, nesting *open, uint32_t limit) {
    bool object = *s->at == '{';
    if (open->depth == limit)
        return refuse(s, "nested too deeply");
    if (tape != NULL) {
        open->nodes[open->depth] = tape->count;
        ks_json_value value = {.type = object ? KS_JSON_OBJECT : KS_JSON_ARRAY,
                               .lexeme = {.data = s->at, .size = 1}};
        if (!tape_push(tape, s, &value))
            return false;
    }
    uint64_t bit = (uint64_t)1 << open->depth;
    open->objects = object ? open->objects | bit : open->objects & ~bit;
    open->depth++;
    s->at++;
    return true;
}

static void scan_close(scanner *s, ks_json_tape *tape, nesting *open) {
    s->at++;
    open->depth--;
    if (tape != NULL) {
        ks_json_node *node = &tape->nodes[open->nodes[open->depth]];
        node->end = (uint32_t)(s->at - s->start);
        node->next = tape->count;
    }
}

static bool scan_key(scanner *s, ks_json_value *key) {
    const char *first = s->at;
    if (peek(s) != '"')
        return refuse(s, "a key should be here");
    if (!scan_string(s, &key->escaped))
        return false;
    key->type = KS_JSON_STRING;
    key->lexeme = (ks_span){.data = first, .size = (size_t)(s->at - first)};
    skip_space(s);
    if (peek(s) != ':')
        return refuse(s, "a colon should be here");
    s->at++;
    skip_space(s);
    return true;
}

/* Reads one value, which starts at `at`, with at most `limit` levels of nesting. */
static bool scan_value(scanner *s, ks_json_value *value, ks_json_tape *tape, uint32_t limit) {
    const char *first = s->at;
    nesting open;
    open.depth = 0;
    open.objects = 0;

    for (;;) {
        ks_json_value part;
        if (inside_object(&open)) {
            if (!scan_key(s, &part) || (tape != NULL && !tape_push(tape, s, &part)))
                return false;
        }

        int c = peek(s);
        if (c == '{' || c == '[') {
            if (!scan_open(s, tape, &open, limit))
                return false;
            skip_space(s);
            if (peek(s) != (c == '{' ? '}' : ']'))
                continue;
            scan_close(s, tape, &open);
        } else if (!scan_scalar(s, &part) || (tape != NULL && !tape_push(tape, s, &part))) {
            return false;
        } else if (open.depth == 0) {
            *value = part;
            return true;
        }

        for (; open.depth > 0; scan_close(s, tape, &open)) {
            skip_space(s);
            c = peek(s);
            if (c == ',')
                break;
            if (c != (inside_object(&open) ? '}' : ']'))
                return refuse(s, "a comma or a closing bracket should be here");
        }
        if (open.depth == 0) {
            *value = (ks_json_value){.type = *first == '{' ? KS_JSON_OBJECT : KS_JSON_ARRAY,
                                     .lexeme = {.data = first, .size = (size_t)(s->at - first)}};
            return true;
        }
        s->at++;
        skip_space(s);
    }
}

static bool at_end(scanner *s) {
    skip_space(s);
    return s->at == s->end || refuse(s, "something follows the value");
}

static bool scan_document(const char *text, size_t size, ks_json_value *value, ks_json_tape *tape,
                          ks_json_fault *fault) {
    scanner s;
    bool good = begin(&s, text, size);
    if (good) {
        skip_space(&s);
        good = scan_value(&s, value, tape, KS_JSON_DEPTH_MAX) && at_end(&s);
    }
    if (!good && fault != NULL)
        *fault = s.fault;
    return good;
}

bool ks_json_check(const char *text, size_t size, ks_json_value *value, ks_json_fault *fault) {
    ks_json_value unwanted;
    return scan_document(text, size, value != NULL ? value : &unwanted, NULL, fault);
}

bool ks_json_tape_read(ks_json_tape *tape, const char *text, size_t size, ks_json_fault *fault) {
    ks_json_value unwanted;
    tape->count = 0;
    return scan_document(text, size, &unwanted, tape, fault);
}

void ks_json_tape_cleanup(ks_json_tape *tape) {
    free(tape->nodes);
    *tape = (ks_json_tape){0};
}

static ks_json_value value_at(const char *text, const ks_json_node *node) {
    return (ks_json_value){
        .type = (ks_json_type)node->type,
        .escaped = node->escaped,
        .lexeme = {.data = text + node->begin, .size = node->end - node->begin},
    };
}

uint32_t ks_json_tape_member(const ks_json_tape *tape, const char *text, uint32_t object,
                             ks_span name) {
    const ks_json_node *nodes = tape->nodes;
    uint32_t found = 0;
    for (uint32_t at = object + 1; at < nodes[object].next; at = nodes[at + 1].next) {
        if (ks_json_string_is(value_at(text, &nodes[at]), name.data, name.size))
            found = at + 1;
    }
    return found;
}

/* Members ------------------------------------------------------------------------------------ */

void ks_json_members_start(ks_json_members *walk, const char *text, size_t size) {
    *walk = (ks_json_members){.start = text, .at = text, .end = text + size};
    if (size > KS_JSON_SIZE_MAX) {
        walk->fault.reason = "the text is too large";
        walk->place = KS_JSON_AFTER_OBJECT;
    }
}

/* Steps over what stands before a member: the brace, a comma, or the end of the object. */
static bool enter_member(scanner *s, ks_json_members *walk) {
    skip_space(s);
    int c = peek(s);
    if (walk->place == KS_JSON_BEFORE_OBJECT) {
        if (c != '{')
            return refuse(s, "an object should be here");
        s->at++;
        walk->place = KS_JSON_IN_OBJECT;
        skip_space(s);
        c = peek(s);
    } else if (c == ',') {
        s->at++;
        skip_space(s);
        return true;
    } else if (c != '}') {
        return refuse(s, "a comma or a closing bracket should be here");
    }
    if (c == '}') {
        s->at++;
        walk->place = KS_JSON_AFTER_OBJECT;
        return at_end(s);
    }
    return true;
}

ks_json_step ks_json_members_next(ks_json_members *walk, ks_json_value *key, ks_json_value *value) {
    if (walk->place == KS_JSON_AFTER_OBJECT)
        return walk->fault.reason != NULL ? KS_JSON_BAD : KS_JSON_END;

    scanner s = {.start = walk->start, .at = walk->at, .end = walk->end};
    /* The object itself is the first level. */
    bool good = enter_member(&s, walk);
    if (good && walk->place == KS_JSON_AFTER_OBJECT)
        return KS_JSON_END;
    good = good && scan_key(&s, key) && scan_value(&s, value, NULL, KS_JSON_DEPTH_MAX - 1);
    walk->at = s.at;
    if (good)
        return KS_JSON_MEMBER;
    walk->fault = s.fault;
    walk->place = KS_JSON_AFTER_OBJECT;
    return KS_JSON_BAD;
}

/* The envelope ------------------------------------------------------------------------------- */

/* The value of an integer lexeme; false when it is no integer or needs more than 32 bits. */
static bool read_int32(ks_span lexeme, int32_t *result) {
    size_t i = lexeme.data[0] == '-' ? 1 : 0;
    bool negative = i == 1;
    int64_t magnitude = 0;
    for (; i < lexeme.size; i++) {
        char c = lexeme.data[i];
        if (c < '0' || c > '9')
            return false;
        magnitude = magnitude * 10 + (c - '0');
        if (magnitude > (int64_t)INT32_MAX + 1)
            return false;
    }
    if (!negative && magnitude > INT32_MAX)
        return false;
    *result = (int32_t)(negative ? -magnitude : magnitude);
    return true;
}

bool ks_json_envelope_read(const char *text, size_t size, ks_json_envelope *envelope,
                           ks_json_fault *fault) {
    ks_json_value key, value, code = {0};
    ks_json_members walk;
    ks_json_step step;

    *envelope = (ks_json_envelope){0};
    ks_json_members_start(&walk, text, size);
    while ((step = ks_json_members_next(&walk, &key, &value)) == KS_JSON_MEMBER) {
        if (ks_json_string_is(key, "code", 4))
            code = value;
        else if (ks_json_string_is(key, "msg", 3))
            envelope->msg = value;
        else if (ks_json_string_is(key, "data", 4))
            envelope->data = value;
    }
    if (step == KS_JSON_BAD) {
        if (fault != NULL)
            *fault = walk.fault;
        return false;
    }
    if (envelope->msg.type != KS_JSON_STRING)
        envelope->msg = (ks_json_value){0};
    if (code.type == KS_JSON_NUMBER && read_int32(code.lexeme, &envelope->code))
        return true;
    if (fault != NULL) {
        fault->reason =
            code.type == KS_JSON_ABSENT ? "code is missing" : "code is not an integer of 32 bits";
        fault->offset = code.type == KS_JSON_ABSENT ? 0 : (size_t)(code.lexeme.data - text);
    }
    return false;
}
