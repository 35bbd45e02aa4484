#include "core/canonical.h"

#include "core/java.h"

#include <stdlib.h>

enum {
    KEPT_BYTES = 16 * 1024, /* working memory kept between two callbacks */
    KEPT_ITEMS = 512,
    SORTED_BY_INSERTION = 24, /* up to here it beats qsort */
};

/* One member of an object. Members are collected from the text, then sorted. */
typedef struct member {
    ks_span key;    /* unescaped */
    uint32_t node;  /* of the value, or one of the two below */
    uint32_t place; /* of the key's first occurrence; Java keeps it when the value is replaced */
    uint32_t bucket;
} member;

#define NODE_APP_ID    UINT32_MAX
#define NODE_TIMESTAMP (UINT32_MAX - 1)

struct ks_canonical {
    const char *json;
    ks_json_tape tape;
    uint32_t root;   /* the object to write */
    ks_text keys;    /* keys that had escapes; reserved at once, so that spans into it stay good */
    ks_text scratch; /* one unescaped string */
    member *members; /* a stack: an object's members lie above those of the object around it */
    size_t count;
    size_t capacity;
    ks_order order;
    ks_text *out;
    ks_json_fault fault;
};

ks_canonical *ks_canonical_new(void) {
    ks_canonical *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    ks_text_init(&c->keys, KS_CANONICAL_DATA_MAX, KS_TEXT_PLAIN);
    ks_text_init(&c->scratch, KS_CANONICAL_DATA_MAX, KS_TEXT_PLAIN);
    return c;
}

static void release_members(ks_canonical *c) {
    free(c->members);
    c->members = NULL;
    c->capacity = 0;
}

void ks_canonical_free(ks_canonical *c) {
    if (c == NULL)
        return;
    ks_json_tape_cleanup(&c->tape);
    ks_text_cleanup(&c->keys);
    ks_text_cleanup(&c->scratch);
    release_members(c);
    free(c);
}

bool ks_canonical_read(ks_canonical *c, ks_span data, ks_json_fault *fault) {
    /* One monstrous callback must not be paid for until the process ends. */
    if (c->tape.capacity > KEPT_ITEMS)
        ks_json_tape_cleanup(&c->tape);
    if (c->capacity > KEPT_ITEMS)
        release_members(c);
    ks_text_recycle(&c->scratch, KEPT_BYTES);

    c->tape.count = 0;
    c->json = data.data;
    if (data.size > KS_CANONICAL_DATA_MAX) {
        *fault = (ks_json_fault){.reason = "the data is too large"};
        return false;
    }
    if (!ks_json_tape_read(&c->tape, data.data, data.size, fault)) {
        c->tape.count = 0;
        return false;
    }
    if (!ks_canonical_choose(c, 0, fault)) {
        c->tape.count = 0;
        return false;
    }
    return true;
}

const ks_json_tape *ks_canonical_tape(const ks_canonical *c) {
    return &c->tape;
}

bool ks_canonical_choose(ks_canonical *c, uint32_t node, ks_json_fault *fault) {
    const ks_json_node *chosen = &c->tape.nodes[node];
    c->root = node;
    if (chosen->type == KS_JSON_OBJECT)
        return true;
    *fault = (ks_json_fault){.reason = "an object should be here", .offset = chosen->begin};
    return false;
}

static bool refuse(ks_canonical *c, const char *reason, size_t offset) {
    if (c->fault.reason == NULL)
        c->fault = (ks_json_fault){.reason = reason, .offset = offset};
    return false;
}

static ks_span lexeme_of(const ks_canonical *c, const ks_json_node *node) {
    return (ks_span){.data = c->json + node->begin, .size = node->end - node->begin};
}

static ks_span inside_quotes(ks_span lexeme) {
    return (ks_span){.data = lexeme.data + 1, .size = lexeme.size - 2};
}

/* Members ------------------------------------------------------------------------------------ */

/* UTF-8 sorts like code points. UTF-16 sorts like them too, but for U+E000..U+FFFF, which come
 * after the surrogates and so after everything larger. Their UTF-8 begins with EE or EF; giving
 * these two bytes a rank above F0..F4 makes a comparison byte by byte that of UTF-16. */
static inline int utf16_rank(char c) {
    unsigned char byte = (unsigned char)c;
    return byte == 0xEE || byte == 0xEF ? byte + 0x10 : byte;
}

static inline int compare_keys(const member *a, const member *b) {
    size_t shared = a->key.size < b->key.size ? a->key.size : b->key.size;
    for (size_t i = 0; i < shared; i++) {
        if (a->key.data[i] != b->key.data[i])
            return utf16_rank(a->key.data[i]) - utf16_rank(b->key.data[i]);
    }
    if (a->key.size != b->key.size)
        return a->key.size < b->key.size ? -1 : 1;
    return a->place < b->place ? -1 : 1;
}

static inline int compare_places(const member *a, const member *b) {
    if (a->bucket != b->bucket)
        return a->bucket < b->bucket ? -1 : 1;
    return a->place < b->place ? -1 : 1;
}

static inline bool same_key(const member *a, const member *b) {
    return a->key.size == b->key.size && memcmp(a->key.data, b->key.data, a->key.size) == 0;
}

static int qsort_keys(const void *a, const void *b) {
    return compare_keys(a, b);
}

static int qsort_places(const void *a, const void *b) {
    return compare_places(a, b);
}

/* No two members compare equal, so the result depends on no sort's stability. */
static inline void sort_members(member *members, size_t count,
                                int (*compare)(const member *, const member *),
                                int (*compare_any)(const void *, const void *)) {
    if (count > SORTED_BY_INSERTION) {
        qsort(members, count, sizeof *members, compare_any);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        size_t hole = i;
        member moving = members[i];
        for (; hole > 0 && compare(&moving, &members[hole - 1]) < 0; hole--)
            members[hole] = members[hole - 1];
        members[hole] = moving;
    }
}

static bool push_member(ks_canonical *c, ks_span key, uint32_t node, uint32_t place) {
    if (c->count == c->capacity) {
        size_t capacity = c->capacity > 0 ? c->capacity * 2 : 32;
        member *members = realloc(c->members, capacity * sizeof *members);
        if (members == NULL)
            return refuse(c, "out of memory", 0);
        c->members = members;
        c->capacity = capacity;
    }
    c->members[c->count++] = (member){.key = key, .node = node, .place = place};
    return true;
}

/* The text of a key, which lives as long as the writing. */
static bool unescape_key(ks_canonical *c, const ks_json_node *node, ks_span *key) {
    ks_span lexeme = lexeme_of(c, node);
    if (!node->escaped) {
        *key = inside_quotes(lexeme);
        return true;
    }
    /* Escapes only shrink, so all keys together fit into as many bytes as the data has. */
    if (c->keys.size == 0 && !ks_text_reserve(&c->keys, c->tape.nodes[0].end))
        return refuse(c, "out of memory", 0);
    size_t from = c->keys.size;
    if (!ks_json_unescape(lexeme, &c->keys))
        return refuse(c, "out of memory", 0);
    *key = (ks_span){.data = c->keys.data + from, .size = c->keys.size - from};
    return true;
}

/* Pushes the members of an object, in the order of the text, duplicates included. */
static bool push_members(ks_canonical *c, uint32_t object) {
    const ks_json_node *nodes = c->tape.nodes;
    for (uint32_t at = object + 1; at < nodes[object].next; at = nodes[at + 1].next) {
        ks_span key;
        if (!unescape_key(c, &nodes[at], &key) || !push_member(c, key, at + 1, at))
            return false;
    }
    return true;
}

static bool is_null(const ks_canonical *c, const member *m) {
    return m->node < c->tape.count && c->tape.nodes[m->node].type == KS_JSON_NULL;
}

/* Sorts the members from `base` on by key and makes one of those with the same key: with the place
 * of the first and the value of the last. A null is no value beside what the header gives. */
static void merge_duplicates(ks_canonical *c, size_t base) {
    if (c->count == base)
        return;
    member *members = c->members + base;
    size_t kept = 0, count = c->count - base;
    uint32_t first = 0;
    sort_members(members, count, compare_keys, qsort_keys);
    for (size_t i = 0; i < count; i++) {
        member *m = &members[i];
        if (i == 0 || !same_key(&members[kept], m)) {
            kept += i > 0;
            members[kept] = *m;
            first = m->node;
        } else {
            bool header = first == NODE_APP_ID || first == NODE_TIMESTAMP;
            members[kept].node = header && is_null(c, m) ? first : m->node;
        }
    }
    c->count = base + kept + 1;
}

/* Brings an object's members, sorted by key, into the order that is asked for. */
static void arrange(ks_canonical *c, size_t base) {
    member *members = c->members + base;
    size_t count = c->count - base;
    if (c->order == KS_ORDER_HASH) {
        /* Null members are in Java's table too, and count for its size. */
        size_t size = ks_java_table_size(count);
        for (size_t i = 0; i < count; i++)
            members[i].bucket = ks_java_bucket(ks_java_hash(members[i].key), size);
    }
    sort_members(members, count, compare_places, qsort_places);
}

/* Scalars ------------------------------------------------------------------------------------ */

/* The length of what must be escaped at `at`, 0 when it may stand as it is. */
static inline size_t special_length(const char *at, size_t left, ks_order order) {
    unsigned char byte = (unsigned char)at[0];
    if (byte < 0x20 || byte == '"' || byte == '\\')
        return 1;
    if (byte < 0x7F || order == KS_ORDER_DOCUMENT)
        return 0;
    if (byte == 0x7F)
        return 1;
    if (byte == 0xC2 && left > 1 && (unsigned char)at[1] < 0xA0)
        return 2; /* U+0080..U+009F */
    if (byte == 0xE2 && left > 2 && (unsigned char)at[1] == 0x80 &&
        ((unsigned char)at[2] == 0xA8 || (unsigned char)at[2] == 0xA9))
        return 3; /* U+2028, U+2029 */
    return 0;
}

static void write_special(ks_canonical *c, const char *at, size_t length) {
    static const char plain[] = "\"\\\n\r\t\b\f";
    static const char letter[] = "\"\\nrtbf";
    const char *hex = c->order == KS_ORDER_HASH ? "0123456789ABCDEF" : "0123456789abcdef";
    /* Sequences of two bytes begin with C2 here, so the second byte is the code point. */
    unsigned point = (unsigned char)at[length == 2 ? 1 : 0];
    if (length == 3)
        point = 0x2000 + ((unsigned char)at[2] & 0x3FU);

    const char *found = length == 1 && at[0] != '\0' ? strchr(plain, at[0]) : NULL;
    if (found != NULL) {
        char text[2] = {'\\', letter[found - plain]};
        ks_text_append(c->out, text, sizeof text);
    } else {
        char text[6] = {
            '\\',           'u', hex[point >> 12], hex[point >> 8 & 15], hex[point >> 4 & 15],
            hex[point & 15]};
        ks_text_append(c->out, text, sizeof text);
    }
}

static void write_quoted(ks_canonical *c, ks_span text) {
    const char *from = text.data, *end = text.data + text.size;
    ks_text_append_byte(c->out, '"');
    for (const char *at = from; at < end;) {
        size_t length = special_length(at, (size_t)(end - at), c->order);
        if (length == 0) {
            at++;
            continue;
        }
        ks_text_append(c->out, from, (size_t)(at - from));
        write_special(c, at, length);
        at += length;
        from = at;
    }
    ks_text_append(c->out, from, (size_t)(end - from));
    ks_text_append_byte(c->out, '"');
}

static bool is_ascii(ks_span text) {
    unsigned char all = 0;
    for (size_t i = 0; i < text.size; i++)
        all |= (unsigned char)text.data[i] | (text.data[i] == 0x7F ? 0x80 : 0);
    return all < 0x80;
}

static bool write_string(ks_canonical *c, const ks_json_node *node) {
    ks_span lexeme = lexeme_of(c, node);
    if (!node->escaped) {
        /* What JSON lets stand bare needs no escape here either, up to U+007E. */
        if (c->order == KS_ORDER_DOCUMENT || is_ascii(lexeme))
            ks_text_append_span(c->out, lexeme);
        else
            write_quoted(c, inside_quotes(lexeme));
        return true;
    }
    ks_text_clear(&c->scratch);
    if (!ks_json_unescape(lexeme, &c->scratch))
        return refuse(c, "out of memory", node->begin);
    write_quoted(c, (ks_span){.data = c->scratch.data, .size = c->scratch.size});
    return true;
}

static bool write_number(ks_canonical *c, const ks_json_node *node) {
    ks_span lexeme = lexeme_of(c, node);
    bool integer = true, zero = true;
    for (size_t i = 0; i < lexeme.size; i++) {
        char byte = lexeme.data[i];
        if (byte == '.' || byte == 'e' || byte == 'E')
            integer = false;
        if (byte == 'e' || byte == 'E')
            break; /* the digits of the exponent do not make it another number than zero */
        if (byte >= '1' && byte <= '9')
            zero = false;
    }
    if (!integer && c->order == KS_ORDER_HASH)
        return ks_java_decimal(lexeme, c->out) ||
               refuse(c, "a number's exponent is out of range", node->begin);
    if (zero && lexeme.data[0] == '-')
        lexeme = (ks_span){.data = lexeme.data + 1, .size = lexeme.size - 1};
    ks_text_append_span(c->out, lexeme);
    return true;
}

/* Values ------------------------------------------------------------------------------------- */

static bool write_value(ks_canonical *c, uint32_t at);

static bool write_array(ks_canonical *c, uint32_t array) {
    uint32_t end = c->tape.nodes[array].next;
    ks_text_append_byte(c->out, '[');
    for (uint32_t at = array + 1; at < end; at = c->tape.nodes[at].next) {
        if (at > array + 1)
            ks_text_append_byte(c->out, ',');
        if (!write_value(c, at))
            return false;
    }
    ks_text_append_byte(c->out, ']');
    return true;
}

static bool write_object(ks_canonical *c, uint32_t object) {
    size_t base = c->count;
    if (!push_members(c, object))
        return false;
    merge_duplicates(c, base);
    arrange(c, base);

    size_t count = c->count - base;
    bool first = true;
    ks_text_append_byte(c->out, '{');
    for (size_t i = 0; i < count; i++) {
        member m = c->members[base + i]; /* a copy: nested objects move the stack */
        if (is_null(c, &m))
            continue;
        if (!first)
            ks_text_append_byte(c->out, ',');
        first = false;
        write_quoted(c, m.key);
        ks_text_append_byte(c->out, ':');
        if (!write_value(c, m.node))
            return false;
    }
    ks_text_append_byte(c->out, '}');
    c->count = base;
    return true;
}

/* Recursive, to the depth that the reader let pass: KS_JSON_DEPTH_MAX. */
static bool write_value(ks_canonical *c, uint32_t at) {
    const ks_json_node *node = &c->tape.nodes[at];
    switch (node->type) {
    case KS_JSON_OBJECT:
        return write_object(c, at);
    case KS_JSON_ARRAY:
        return write_array(c, at);
    case KS_JSON_STRING:
        return write_string(c, node);
    case KS_JSON_NUMBER:
        return write_number(c, node);
    default:
        ks_text_append_span(c->out, lexeme_of(c, node));
        return true;
    }
}

static bool write_top_value(ks_canonical *c, uint32_t at) {
    const ks_json_node *node = &c->tape.nodes[at];
    if (node->type != KS_JSON_STRING)
        return write_value(c, at);
    if (!node->escaped)
        return ks_text_append_span(c->out, inside_quotes(lexeme_of(c, node)));
    return ks_json_unescape(lexeme_of(c, node), c->out);
}

/* The members of the root and the two that are not in it, as `key=value&key=value…`. */
static bool write_top(ks_canonical *c, ks_span app_id, ks_span timestamp) {
    static const ks_span app_id_key = {"appId", 5}, timestamp_key = {"timestamp", 9};
    /* Their place, 0, is before any other, so that a member of the same name wins. */
    if (!push_member(c, app_id_key, NODE_APP_ID, 0) ||
        !push_member(c, timestamp_key, NODE_TIMESTAMP, 0) || !push_members(c, c->root))
        return false;
    merge_duplicates(c, 0);

    size_t count = c->count;
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        member m = c->members[i]; /* a copy: nested objects move the stack */
        if (is_null(c, &m))
            continue;
        if (!first)
            ks_text_append_byte(c->out, '&');
        first = false;
        ks_text_append_span(c->out, m.key);
        ks_text_append_byte(c->out, '=');
        if (m.node == NODE_APP_ID)
            ks_text_append_span(c->out, app_id);
        else if (m.node == NODE_TIMESTAMP)
            ks_text_append_span(c->out, timestamp);
        else if (!write_top_value(c, m.node))
            return false;
    }
    return true;
}

bool ks_canonical_write(ks_canonical *c, ks_span app_id, ks_span timestamp, ks_order order,
                        ks_text *out, ks_json_fault *fault) {
    c->order = order;
    c->out = out;
    c->count = 0;
    c->fault = (ks_json_fault){0};
    ks_text_recycle(&c->keys, KEPT_BYTES);
    bool good = false;
    if (c->tape.count == 0)
        refuse(c, "nothing was read", 0);
    else
        good = write_top(c, app_id, timestamp);
    if (out->failed)
        good = refuse(c, "out of memory, or the text is too large", 0);
    if (!good)
        *fault = c->fault;
    return good;
}
