#include "core/signature.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { DIGEST = 32, BLOCK = 64, KEPT = 16 * 1024 /* bytes of a text kept between two callbacks */ };

/* HMAC (RFC 2104) keeps two hash states that have swallowed the padded key, and continues copies of
 * them. libcrypto's own keyed objects cannot serve: HMAC_CTX is deprecated in 3.x, EVP_MAC is
 * missing in 1.1.1, and rewinding EVP_DigestSign costs three times the hash itself. */
struct ks_signer {
    EVP_MD_CTX *inner;
    EVP_MD_CTX *outer;
    EVP_MD_CTX *work;
    ks_canonical *canonical;
    ks_text document;
    ks_text hashed;
};

const char *ks_signature_reason(ks_signature_status status) {
    switch (status) {
    case KS_SIGNATURE_OK:
        return "no error";
    case KS_SIGNATURE_MISSHAPEN:
        return "the signature is not 64 lower-case hex digits";
    case KS_SIGNATURE_REFUSED:
        return "the signature does not match";
    case KS_SIGNATURE_BAD_DATA:
        return "the data cannot be signed";
    case KS_SIGNATURE_UNAVAILABLE:
        return "libcrypto failed or memory ran out";
    }
    return "unknown status";
}

static bool swallow(EVP_MD_CTX *state, const unsigned char key[BLOCK], unsigned char pad) {
    unsigned char block[BLOCK];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = key[i] ^ pad;
    bool good = EVP_DigestInit_ex(state, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(state, block, sizeof block) == 1;
    OPENSSL_cleanse(block, sizeof block);
    return good;
}

static bool set_key(ks_signer *signer, const void *secret, size_t size) {
    unsigned char key[BLOCK] = {0};
    bool good = true;
    if (size > sizeof key)
        good = EVP_Digest(secret, size, key, NULL, EVP_sha256(), NULL) == 1;
    else
        memcpy(key, secret, size);
    good = good && swallow(signer->inner, key, 0x36) && swallow(signer->outer, key, 0x5C);
    OPENSSL_cleanse(key, sizeof key);
    return good;
}

ks_signer *ks_signer_new(const void *secret, size_t size) {
    if (size == 0)
        return NULL; /* anybody could sign with it */
    ks_signer *signer = calloc(1, sizeof *signer);
    if (signer == NULL)
        return NULL;
    ks_text_init(&signer->document, KS_CANONICAL_MAX, KS_TEXT_PLAIN);
    ks_text_init(&signer->hashed, KS_CANONICAL_MAX, KS_TEXT_PLAIN);
    signer->inner = EVP_MD_CTX_new();
    signer->outer = EVP_MD_CTX_new();
    signer->work = EVP_MD_CTX_new();
    signer->canonical = ks_canonical_new();
    if (signer->inner == NULL || signer->outer == NULL || signer->work == NULL ||
        signer->canonical == NULL || !set_key(signer, secret, size)) {
        ks_signer_free(signer);
        signer = NULL;
    }
    /* On success too: looking up an algorithm tries providers, and may note what it did not find.
     */
    ERR_clear_error();
    return signer;
}

void ks_signer_free(ks_signer *signer) {
    if (signer == NULL)
        return;
    EVP_MD_CTX_free(signer->inner);
    EVP_MD_CTX_free(signer->outer);
    EVP_MD_CTX_free(signer->work);
    ks_canonical_free(signer->canonical);
    ks_text_cleanup(&signer->document);
    ks_text_cleanup(&signer->hashed);
    free(signer);
}

static ks_signature_status authenticate(ks_signer *signer, const ks_text *text,
                                        unsigned char digest[DIGEST]) {
    EVP_MD_CTX *work = signer->work;
    if (EVP_MD_CTX_copy_ex(work, signer->inner) == 1 &&
        EVP_DigestUpdate(work, text->data, text->size) == 1 &&
        EVP_DigestFinal_ex(work, digest, NULL) == 1 &&
        EVP_MD_CTX_copy_ex(work, signer->outer) == 1 &&
        EVP_DigestUpdate(work, digest, DIGEST) == 1 && EVP_DigestFinal_ex(work, digest, NULL) == 1)
        return KS_SIGNATURE_OK;
    ERR_clear_error();
    return KS_SIGNATURE_UNAVAILABLE;
}

/* Writes the text of what was read last. */
static ks_signature_status write_text(ks_signer *signer, const ks_signed *what, ks_order order,
                                      ks_text *text, ks_json_fault *fault) {
    ks_text_recycle(text, KEPT);
    return ks_canonical_write(signer->canonical, what->app_id, what->timestamp, order, text, fault)
               ? KS_SIGNATURE_OK
               : KS_SIGNATURE_BAD_DATA;
}

ks_signature_status ks_signer_sign(ks_signer *signer, const ks_signed *what, ks_order order,
                                   char hex[KS_SIGNATURE_SIZE], ks_json_fault *fault) {
    static const char digits[] = "0123456789abcdef";
    unsigned char ours[DIGEST];

    if (!ks_canonical_read(signer->canonical, what->data, fault))
        return KS_SIGNATURE_BAD_DATA;
    ks_signature_status status = write_text(signer, what, order, &signer->document, fault);
    if (status == KS_SIGNATURE_OK)
        status = authenticate(signer, &signer->document, ours);
    if (status != KS_SIGNATURE_OK)
        return status;
    for (size_t i = 0; i < DIGEST; i++) {
        hex[2 * i] = digits[ours[i] >> 4];
        hex[2 * i + 1] = digits[ours[i] & 15];
    }
    return KS_SIGNATURE_OK;
}

static inline int lower_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lower case only, as it is published. */
static bool read_hex(const char *hex, size_t size, unsigned char digest[DIGEST]) {
    if (size != KS_SIGNATURE_SIZE)
        return false;
    for (size_t i = 0; i < DIGEST; i++) {
        int high = lower_digit(hex[2 * i]), low = lower_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        digest[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static ks_signature_status compare(ks_signer *signer, const ks_text *text,
                                   const unsigned char theirs[DIGEST]) {
    unsigned char ours[DIGEST];
    ks_signature_status status = authenticate(signer, text, ours);
    if (status != KS_SIGNATURE_OK)
        return status;
    return CRYPTO_memcmp(ours, theirs, DIGEST) == 0 ? KS_SIGNATURE_OK : KS_SIGNATURE_REFUSED;
}

ks_signature_status ks_signer_verify(ks_signer *signer, const ks_signed *what, const char *hex,
                                     size_t hex_size, ks_json_fault *fault) {
    unsigned char theirs[DIGEST];
    const ks_text *document = &signer->document, *hashed = &signer->hashed;

    if (!read_hex(hex, hex_size, theirs))
        return KS_SIGNATURE_MISSHAPEN;
    if (!ks_canonical_read(signer->canonical, what->data, fault))
        return KS_SIGNATURE_BAD_DATA;

    ks_signature_status status =
        write_text(signer, what, KS_ORDER_DOCUMENT, &signer->document, fault);
    if (status == KS_SIGNATURE_OK)
        status = compare(signer, document, theirs);
    if (status != KS_SIGNATURE_REFUSED)
        return status;

    status = write_text(signer, what, KS_ORDER_HASH, &signer->hashed, fault);
    if (status != KS_SIGNATURE_OK)
        return status;
    if (hashed->size == document->size && memcmp(hashed->data, document->data, hashed->size) == 0)
        return KS_SIGNATURE_REFUSED;
    return compare(signer, hashed, theirs);
}
