/* Whole callbacks, as a stranger may send them: only what is signed is handed out, and what is
 * signed is what is handed out. The first byte chooses the order, the next two a bit to flip, the
 * rest is the body. */
#include "core/callback.h"

#include "check.h"

#include <openssl/err.h>

static const ks_span SECRET = {"0123456789abcdef", 16};
static const ks_span OTHER_SECRET = {"fedcba9876543210", 16};
static const ks_span APP_ID = {"app-1", 5};
static const ks_span TIMESTAMP = {"1790000000000", 13};

static ks_verifier *new_verifier(void) {
    ks_verifier *verifier = ks_verifier_new();
    CHECK(verifier != NULL);
    CHECK(ks_verifier_add(verifier, APP_ID, OTHER_SECRET));
    CHECK(ks_verifier_add(verifier, (ks_span){0}, SECRET));
    return verifier;
}

/* The object `data` of a body, the last of several, found another way than the verifier's. */
static bool find_data(ks_span body, ks_span *data) {
    ks_json_members walk;
    ks_json_value key, value, found = {0};
    ks_json_step step;
    ks_json_members_start(&walk, body.data, body.size);
    while ((step = ks_json_members_next(&walk, &key, &value)) == KS_JSON_MEMBER) {
        if (ks_json_string_is(key, "data", 4))
            found = value;
    }
    *data = found.lexeme;
    return step == KS_JSON_END && found.type == KS_JSON_OBJECT;
}

static bool sign(ks_signer *signer, ks_span data, ks_order order, char hex[KS_SIGNATURE_SIZE]) {
    ks_json_fault fault;
    ks_signed what = {data, APP_ID, TIMESTAMP};
    return ks_signer_sign(signer, &what, order, hex, &fault) == KS_SIGNATURE_OK;
}

static bool is_signed(ks_signer *signer, ks_span data, const char hex[KS_SIGNATURE_SIZE]) {
    char own[KS_SIGNATURE_SIZE];
    for (int order = KS_ORDER_DOCUMENT; order <= KS_ORDER_HASH; order++) {
        if (sign(signer, data, (ks_order)order, own) && memcmp(own, hex, sizeof own) == 0)
            return true;
    }
    return false;
}

/* What is handed out: nodes of the tape, and the data that was found the other way. */
static void check_callback(const ks_callback *callback, ks_span body) {
    const ks_json_tape *tape = callback->tape;
    CHECK(callback->id < tape->count && callback->action < tape->count);
    CHECK(callback->data > 0 && callback->data < tape->count);
    const ks_json_node *node = &tape->nodes[callback->data];
    ks_span lexeme = {body.data + node->begin, node->end - node->begin}, data;
    CHECK(node->type == KS_JSON_OBJECT && node->next <= tape->count);
    CHECK(find_data(body, &data) && same_bytes(data, lexeme));
}

static ks_signature_status read_body(ks_verifier *verifier, ks_span body, const char *hex) {
    ks_json_fault fault;
    ks_callback callback;
    ks_posted posted = {body, {hex, KS_SIGNATURE_SIZE}, TIMESTAMP};
    ks_signature_status status = ks_verifier_read(verifier, &posted, &callback, &fault);
    if (status == KS_SIGNATURE_OK)
        check_callback(&callback, body);
    CHECK(status != KS_SIGNATURE_UNAVAILABLE);
    return status;
}

/* A `timestamp` of its own takes the header's place in the text; such data may be refused. */
static bool has_timestamp(ks_span data) {
    ks_json_members walk;
    ks_json_value key, value;
    bool found = false;
    ks_json_members_start(&walk, data.data, data.size);
    while (ks_json_members_next(&walk, &key, &value) == KS_JSON_MEMBER)
        found = found || ks_json_string_is(key, "timestamp", 9);
    return found;
}

static void check_flipped(ks_verifier *verifier, ks_signer *signer, ks_span body, const char *hex,
                          uint32_t where) {
    ks_span data;
    char *copy = malloc(body.size);
    CHECK(copy != NULL);
    memcpy(copy, body.data, body.size);
    copy[(where >> 3) % body.size] ^= (char)(1 << (where & 7));
    ks_span other = {copy, body.size};
    if (read_body(verifier, other, hex) == KS_SIGNATURE_OK)
        CHECK(find_data(other, &data) && is_signed(signer, data, hex));
    free(copy);
}

static void check_signed(ks_verifier *verifier, ks_signer *signer, ks_span body, ks_order order,
                         uint32_t where) {
    ks_span data;
    char hex[KS_SIGNATURE_SIZE];
    if (!find_data(body, &data)) {
        memset(hex, '0', sizeof hex);
        CHECK(read_body(verifier, body, hex) == KS_SIGNATURE_BAD_DATA);
        return;
    }
    if (!sign(signer, data, order, hex))
        return;
    CHECK(read_body(verifier, body, hex) == KS_SIGNATURE_OK || has_timestamp(data));
    check_flipped(verifier, signer, body, hex, where);
    hex[where % sizeof hex] = hex[where % sizeof hex] == '0' ? '1' : '0';
    CHECK(read_body(verifier, body, hex) != KS_SIGNATURE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    source input = {data, size};
    ks_order order = take_byte(&input) % 2 == 0 ? KS_ORDER_DOCUMENT : KS_ORDER_HASH;
    uint32_t where = take_number(&input);
    ks_span body = take_span(&input, input.size);
    if (body.size == 0)
        return 0;
    ks_signer *signer = ks_signer_new(SECRET.data, SECRET.size);
    CHECK(signer != NULL);
    ks_verifier *verifier = new_verifier(), *copy = ks_verifier_copy(verifier);
    CHECK(copy != NULL);
    check_signed(verifier, signer, body, order, where);
    check_signed(copy, signer, body, order, where);
    ks_verifier_free(copy);
    ks_verifier_free(verifier);
    ks_signer_free(signer);
    CHECK(ERR_peek_error() == 0);
    return 0;
}
