/* AES and what is sealed with it: what was put in comes out, and nothing else is taken for it. The
 * first byte chooses the length of the key and the bit to flip, then comes the key, then the text.
 */
#include "core/cipher.h"
#include "core/seal.h"

#include "check.h"

#include <openssl/err.h>

static void check_round_trip(ks_cipher *cipher, ks_span plain, uint8_t where) {
    ks_text sealed, opened;
    ks_text_init(&sealed, KS_CIPHER_BASE64_MAX, KS_TEXT_PLAIN);
    ks_text_init(&opened, KS_CIPHER_PLAIN_MAX, KS_TEXT_SECRET);
    CHECK(ks_cipher_encrypt(cipher, plain.data, plain.size, &sealed) == KS_CIPHER_OK);
    CHECK(ks_cipher_decrypt(cipher, sealed.data, sealed.size, &opened) == KS_CIPHER_OK);
    CHECK(same_bytes(span_of(&opened), plain));

    sealed.data[where % sealed.size] ^= 1;
    ks_text_clear(&opened);
    if (ks_cipher_decrypt(cipher, sealed.data, sealed.size, &opened) == KS_CIPHER_OK)
        CHECK(!same_bytes(span_of(&opened), plain));
    ks_text_cleanup(&sealed);
    ks_text_cleanup(&opened);
}

/* Whatever this is, it is no reason to crash; where it opens, it is what would have been made. */
static void check_foreign(ks_cipher *cipher, ks_span base64) {
    ks_text opened, sealed;
    ks_text_init(&opened, KS_CIPHER_PLAIN_MAX, KS_TEXT_SECRET);
    ks_text_init(&sealed, KS_CIPHER_BASE64_MAX, KS_TEXT_PLAIN);
    ks_cipher_status status = ks_cipher_decrypt(cipher, base64.data, base64.size, &opened);
    CHECK(ks_cipher_reason(status) != NULL);
    if (status == KS_CIPHER_OK) {
        CHECK(ks_cipher_encrypt(cipher, opened.data, opened.size, &sealed) == KS_CIPHER_OK);
        CHECK(same_bytes(span_of(&sealed), base64));
    } else {
        CHECK(opened.size == 0);
    }
    ks_text_cleanup(&opened);
    ks_text_cleanup(&sealed);
}

static void check_keys(ks_span secret) {
    for (int encoding = KS_CIPHER_UTF8; encoding <= KS_CIPHER_HEX; encoding++) {
        ks_text key;
        ks_text_init(&key, KS_CIPHER_KEY_MAX, KS_TEXT_SECRET);
        if (ks_cipher_key_read(secret.data, secret.size, (ks_cipher_encoding)encoding, &key)) {
            CHECK(key.size <= KS_CIPHER_KEY_MAX);
            ks_cipher *cipher = ks_cipher_new(key.data, key.size);
            CHECK((cipher != NULL) == ks_cipher_key_fits(key.size));
            ks_cipher_free(cipher);
        }
        ks_text_cleanup(&key);
    }
}

static void check_seal(ks_span secret, ks_span plain, uint8_t where) {
    ks_seal seal;
    ks_text sealed, opened;
    CHECK(ks_seal_init(&seal, secret, (ks_span){"https://host", 12}, (ks_span){"key-1", 5}));
    ks_text_init(&sealed, KS_SEAL_TEXT_MAX, KS_TEXT_PLAIN);
    ks_text_init(&opened, KS_SEAL_TEXT_MAX, KS_TEXT_SECRET);
    CHECK(!ks_seal_open(&seal, plain, &opened) && opened.size == 0);
    CHECK(plain.size > 0 || !ks_seal_close(&seal, plain, &sealed));
    if (plain.size > 0 && plain.size <= KS_SEAL_PLAIN_MAX) {
        CHECK(ks_seal_close(&seal, plain, &sealed));
        CHECK(ks_seal_open(&seal, span_of(&sealed), &opened));
        CHECK(same_bytes(span_of(&opened), plain));
        ks_text_clear(&opened);
        sealed.data[where % sealed.size] ^= 1;
        CHECK(!ks_seal_open(&seal, span_of(&sealed), &opened) && opened.size == 0);
    }
    ks_text_cleanup(&sealed);
    ks_text_cleanup(&opened);
    ks_seal_cleanup(&seal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t lengths[] = {16, 24, 32};
    source input = {data, size};
    uint8_t choice = take_byte(&input);
    char key[KS_CIPHER_KEY_MAX] = {0};
    size_t length = lengths[choice % 3];
    ks_span given = take_span(&input, length);
    if (given.size > 0)
        memcpy(key, given.data, given.size);
    ks_span text = take_span(&input, input.size);

    ks_cipher *cipher = ks_cipher_new(key, length);
    CHECK(cipher != NULL);
    check_round_trip(cipher, text, choice);
    check_foreign(cipher, text);
    check_keys(text);
    check_seal((ks_span){key, length}, text, choice);
    ks_cipher_free(cipher);
    CHECK(ERR_peek_error() == 0);
    return 0;
}
