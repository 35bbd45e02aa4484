/* Signatures: what was signed is verified, and nothing else is. The first byte chooses the order,
 * the next two the bits to flip, the rest is `data`. */
#include "core/signature.h"
#include "core/callback.h"

#include "check.h"

#include <openssl/err.h>

static const ks_span SECRET = {"0123456789abcdef", 16};
static const ks_span APP_ID = {"app-1", 5};
static const ks_span TIMESTAMP = {"1790000000000", 13};

static bool write_text(ks_span data, ks_order order, ks_text *out) {
    ks_canonical *canonical = ks_canonical_new();
    ks_json_fault fault;
    CHECK(canonical != NULL);
    bool good = ks_canonical_read(canonical, data, &fault) &&
                ks_canonical_write(canonical, APP_ID, TIMESTAMP, order, out, &fault);
    ks_canonical_free(canonical);
    return good;
}

/* Whether `data` can be written as `signed_text`, in whichever order. */
static bool can_be_written_as(ks_span data, const ks_text *signed_text) {
    bool same = false;
    for (int order = KS_ORDER_DOCUMENT; order <= KS_ORDER_HASH && !same; order++) {
        ks_text text;
        ks_text_init(&text, KS_CANONICAL_MAX, KS_TEXT_PLAIN);
        same = write_text(data, (ks_order)order, &text) &&
               same_bytes(span_of(&text), span_of(signed_text));
        ks_text_cleanup(&text);
    }
    return same;
}

static bool can_be_written_both_ways(ks_span data) {
    bool good = true;
    for (int order = KS_ORDER_DOCUMENT; order <= KS_ORDER_HASH; order++) {
        ks_text text;
        ks_text_init(&text, KS_CANONICAL_MAX, KS_TEXT_PLAIN);
        good = write_text(data, (ks_order)order, &text) && good;
        ks_text_cleanup(&text);
    }
    return good;
}

/* What can be written one way only may be called bad data when it was not signed that way. */
static bool is_refusal(ks_signature_status status, ks_span data) {
    return status == KS_SIGNATURE_REFUSED ||
           (status == KS_SIGNATURE_BAD_DATA && !can_be_written_both_ways(data));
}

static void check_flipped_signature(ks_signer *signer, const ks_signed *what, const char *hex,
                                    uint8_t which) {
    ks_json_fault fault;
    char flipped[KS_SIGNATURE_SIZE];
    memcpy(flipped, hex, sizeof flipped);
    flipped[which % KS_SIGNATURE_SIZE] ^= (char)(1 << (which >> 6));
    ks_signature_status status = ks_signer_verify(signer, what, flipped, sizeof flipped, &fault);
    CHECK(status == KS_SIGNATURE_MISSHAPEN || is_refusal(status, what->data));
    CHECK(ks_signer_verify(signer, what, hex, KS_SIGNATURE_SIZE - 1, &fault) ==
          KS_SIGNATURE_MISSHAPEN);
}

/* Other data passes only where it comes to the same text, as with another blank in it. */
static void check_flipped_data(ks_signer *signer, const ks_signed *what, const char *hex,
                               const ks_text *signed_text, uint8_t where, uint8_t which) {
    ks_json_fault fault;
    if (what->data.size == 0)
        return;
    char *copy = malloc(what->data.size);
    CHECK(copy != NULL);
    memcpy(copy, what->data.data, what->data.size);
    copy[where % what->data.size] ^= (char)(1 << which % 8);
    ks_signed other = *what;
    other.data.data = copy;
    if (ks_signer_verify(signer, &other, hex, KS_SIGNATURE_SIZE, &fault) == KS_SIGNATURE_OK)
        CHECK(can_be_written_as(other.data, signed_text));
    free(copy);
}

static void check_signed(ks_signer *signer, const ks_signed *what, ks_order order, source *input) {
    ks_json_fault fault;
    char hex[KS_SIGNATURE_SIZE];
    uint8_t where = take_byte(input), which = take_byte(input);
    ks_text text;
    ks_text_init(&text, KS_CANONICAL_MAX, KS_TEXT_PLAIN);
    bool writable = write_text(what->data, order, &text);
    ks_signature_status status = ks_signer_sign(signer, what, order, hex, &fault);
    CHECK(status == (writable ? KS_SIGNATURE_OK : KS_SIGNATURE_BAD_DATA));
    if (writable) {
        CHECK(ks_signer_verify(signer, what, hex, sizeof hex, &fault) == KS_SIGNATURE_OK);
        check_flipped_signature(signer, what, hex, which);
        check_flipped_data(signer, what, hex, &text, where, which);
    }
    ks_text_cleanup(&text);
}

/* A whole callback's body, signed or not: what is not vouched for is not handed out. */
static void check_callback(ks_signer *signer, ks_span data, ks_order order) {
    static const char front[] = "{\"id\":\"1\",\"action\":\"Auth\",\"data\":";
    ks_signed what = {data, APP_ID, TIMESTAMP};
    ks_json_fault fault;
    ks_callback callback;
    char hex[KS_SIGNATURE_SIZE];
    ks_verifier *verifier = ks_verifier_new();
    CHECK(verifier != NULL && ks_verifier_add(verifier, APP_ID, SECRET));
    ks_text body;
    ks_text_init(&body, KS_JSON_SIZE_MAX, KS_TEXT_PLAIN);
    ks_text_append(&body, front, sizeof front - 1);
    ks_text_append_span(&body, data);
    ks_text_append_byte(&body, '}');
    ks_posted posted = {span_of(&body), {hex, sizeof hex}, TIMESTAMP};
    if (ks_signer_sign(signer, &what, order, hex, &fault) == KS_SIGNATURE_OK) {
        ks_signature_status status = ks_verifier_read(verifier, &posted, &callback, &fault);
        CHECK(status == KS_SIGNATURE_OK || status == KS_SIGNATURE_REFUSED);
        if (status == KS_SIGNATURE_OK)
            CHECK(callback.tape->nodes[callback.data].type == KS_JSON_OBJECT);
        hex[0] = hex[0] == '0' ? '1' : '0';
        CHECK(is_refusal(ks_verifier_read(verifier, &posted, &callback, &fault), data));
    }
    posted.body = data;
    memset(hex, '0', sizeof hex);
    CHECK(ks_verifier_read(verifier, &posted, &callback, &fault) != KS_SIGNATURE_OK);
    ks_text_cleanup(&body);
    ks_verifier_free(verifier);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    source input = {data, size};
    ks_order order = take_byte(&input) % 2 == 0 ? KS_ORDER_DOCUMENT : KS_ORDER_HASH;
    source flips = {input.data, input.size < 2 ? input.size : 2};
    take_span(&input, 2);
    ks_signed what = {take_span(&input, input.size), APP_ID, TIMESTAMP};
    ks_signer *signer = ks_signer_new(SECRET.data, SECRET.size);
    CHECK(signer != NULL);
    check_signed(signer, &what, order, &flips);
    check_callback(signer, what.data, order);
    ks_signer_free(signer);
    CHECK(ERR_peek_error() == 0);
    return 0;
}
