#include "core/callback.h"

#include <openssl/crypto.h>
#include <stdlib.h>

typedef struct key {
    ks_text app_id;
    ks_mac *mac;
} key;

struct ks_verifier {
    ks_canonical *canonical;
    ks_text text;
    ks_order
        order; /* that of the last good one, tried first: a platform does not change its mind */
    size_t count;
    key keys[KS_VERIFIER_KEYS_MAX];
};

ks_verifier *ks_verifier_new(void) {
    ks_verifier *v = calloc(1, sizeof *v);
    if (v == NULL)
        return NULL;
    ks_text_init(&v->text, KS_CANONICAL_MAX, KS_TEXT_PLAIN);
    v->canonical = ks_canonical_new();
    if (v->canonical != NULL)
        return v;
    free(v);
    return NULL;
}

void ks_verifier_free(ks_verifier *v) {
    if (v == NULL)
        return;
    for (size_t i = 0; i < v->count; i++) {
        ks_text_cleanup(&v->keys[i].app_id);
        ks_mac_free(v->keys[i].mac);
    }
    ks_canonical_free(v->canonical);
    ks_text_cleanup(&v->text);
    free(v);
}

static ks_span span_of(const ks_text *text) {
    return (ks_span){.data = text->data, .size = text->size};
}

/* Takes the mac over, failing or not. */
static bool add(ks_verifier *v, ks_span app_id, ks_mac *mac) {
    if (mac == NULL || v->count == KS_VERIFIER_KEYS_MAX) {
        ks_mac_free(mac);
        return false;
    }
    key *added = &v->keys[v->count];
    ks_text_init(&added->app_id, KS_CANONICAL_DATA_MAX, KS_TEXT_PLAIN);
    if (!ks_text_append_span(&added->app_id, app_id)) {
        ks_mac_free(mac);
        return false;
    }
    added->mac = mac;
    v->count++;
    return true;
}

bool ks_verifier_add(ks_verifier *v, ks_span app_id, ks_span secret) {
    if (app_id.data == NULL && v->count > 0)
        app_id = span_of(&v->keys[0].app_id);
    return add(v, app_id, ks_mac_new(secret.data, secret.size));
}

ks_verifier *ks_verifier_copy(const ks_verifier *v) {
    ks_verifier *copy = ks_verifier_new();
    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < v->count; i++) {
        if (!add(copy, span_of(&v->keys[i].app_id), ks_mac_copy(v->keys[i].mac))) {
            ks_verifier_free(copy);
            return NULL;
        }
    }
    return copy;
}

static bool same_span(ks_span a, ks_span b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Whether any key made `theirs` of what is written in this order. Keys of one app_id that follow
 * each other share the text. */
static ks_signature_status try_order(ks_verifier *v, ks_span timestamp, ks_order order,
                                     const unsigned char theirs[KS_MAC_SIZE],
                                     ks_json_fault *fault) {
    for (size_t i = 0; i < v->count; i++) {
        ks_span app_id = span_of(&v->keys[i].app_id);
        if (i == 0 || !same_span(app_id, span_of(&v->keys[i - 1].app_id))) {
            ks_text_recycle(&v->text, KS_SIGNATURE_KEPT);
            if (!ks_canonical_write(v->canonical, app_id, timestamp, order, &v->text, fault))
                return KS_SIGNATURE_BAD_DATA;
        }
        unsigned char ours[KS_MAC_SIZE];
        if (!ks_mac_compute(v->keys[i].mac, span_of(&v->text), ours))
            return KS_SIGNATURE_UNAVAILABLE;
        if (CRYPTO_memcmp(ours, theirs, KS_MAC_SIZE) == 0)
            return KS_SIGNATURE_OK;
    }
    return KS_SIGNATURE_REFUSED;
}

static ks_signature_status try_orders(ks_verifier *v, ks_span timestamp,
                                      const unsigned char theirs[KS_MAC_SIZE],
                                      ks_json_fault *fault) {
    ks_order usual = v->order;
    ks_order other = usual == KS_ORDER_DOCUMENT ? KS_ORDER_HASH : KS_ORDER_DOCUMENT;
    ks_signature_status status = try_order(v, timestamp, usual, theirs, fault);
    if (status == KS_SIGNATURE_OK || status == KS_SIGNATURE_UNAVAILABLE)
        return status;
    /* What one order cannot write, the other may. */
    status = try_order(v, timestamp, other, theirs, fault);
    if (status == KS_SIGNATURE_OK)
        v->order = other;
    return status;
}

/* Whether a `timestamp` among the data, which is what is signed then, is that of the header. */
static bool is_stamp_signed(const char *body, const ks_callback *callback, ks_span timestamp) {
    static const ks_span name = {"timestamp", 9};
    uint32_t at = ks_json_tape_member(callback->tape, body, callback->data, name);
    const ks_json_node *node = &callback->tape->nodes[at];
    if (at == 0 || node->type == KS_JSON_NULL)
        return true;
    ks_json_value value = {
        .type = (ks_json_type)node->type,
        .escaped = node->escaped,
        .lexeme = {.data = body + node->begin, .size = node->end - node->begin},
    };
    if (value.type == KS_JSON_STRING)
        return ks_json_string_is(value, timestamp.data, timestamp.size);
    return same_span(value.lexeme, timestamp);
}

static bool read_members(ks_verifier *v, ks_span body, ks_callback *callback,
                         ks_json_fault *fault) {
    static const ks_span id = {"id", 2}, action = {"action", 6}, data = {"data", 4};
    if (!ks_canonical_read(v->canonical, body, fault))
        return false;
    const ks_json_tape *tape = ks_canonical_tape(v->canonical);
    callback->tape = tape;
    callback->id = ks_json_tape_member(tape, body.data, 0, id);
    callback->action = ks_json_tape_member(tape, body.data, 0, action);
    callback->data = ks_json_tape_member(tape, body.data, 0, data);
    if (callback->data != 0)
        return ks_canonical_choose(v->canonical, callback->data, fault);
    *fault = (ks_json_fault){.reason = "there is no data"};
    return false;
}

ks_signature_status ks_verifier_read(ks_verifier *v, const ks_posted *posted, ks_callback *callback,
                                     ks_json_fault *fault) {
    unsigned char theirs[KS_MAC_SIZE];
    if (!ks_signature_read_hex(posted->signature.data, posted->signature.size, theirs))
        return KS_SIGNATURE_MISSHAPEN;
    if (!read_members(v, posted->body, callback, fault))
        return KS_SIGNATURE_BAD_DATA;
    ks_signature_status status = try_orders(v, posted->timestamp, theirs, fault);
    if (status == KS_SIGNATURE_OK &&
        !is_stamp_signed(posted->body.data, callback, posted->timestamp))
        return KS_SIGNATURE_REFUSED;
    return status;
}
