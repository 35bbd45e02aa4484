#include "core/mac.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { BLOCK = 64 };

/* HMAC keeps two hash states that have swallowed the padded key, and continues copies of them.
 * libcrypto's own keyed objects cannot serve: HMAC_CTX is deprecated in 3.x, EVP_MAC is missing in
 * 1.1.1, and rewinding EVP_DigestSign costs three times the hash itself. */
struct ks_mac {
    EVP_MD_CTX *inner;
    EVP_MD_CTX *outer;
    EVP_MD_CTX *work;
};

static bool swallow(EVP_MD_CTX *state, const unsigned char key[BLOCK], unsigned char pad) {
    unsigned char block[BLOCK];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = key[i] ^ pad;
    bool good = EVP_DigestInit_ex(state, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(state, block, sizeof block) == 1;
    OPENSSL_cleanse(block, sizeof block);
    return good;
}

static bool set_key(ks_mac *mac, const void *secret, size_t size) {
    unsigned char key[BLOCK] = {0};
    bool good = true;
    if (size > sizeof key)
        good = EVP_Digest(secret, size, key, NULL, EVP_sha256(), NULL) == 1;
    else
        memcpy(key, secret, size);
    good = good && swallow(mac->inner, key, 0x36) && swallow(mac->outer, key, 0x5C);
    OPENSSL_cleanse(key, sizeof key);
    return good;
}

static ks_mac *allocate(void) {
    ks_mac *mac = calloc(1, sizeof *mac);
    if (mac == NULL)
        return NULL;
    mac->inner = EVP_MD_CTX_new();
    mac->outer = EVP_MD_CTX_new();
    mac->work = EVP_MD_CTX_new();
    if (mac->inner != NULL && mac->outer != NULL && mac->work != NULL)
        return mac;
    ks_mac_free(mac);
    return NULL;
}

/* On success too: looking up an algorithm tries providers, and may note what it did not find. */
static ks_mac *finish(ks_mac *mac, bool good) {
    ERR_clear_error();
    if (good)
        return mac;
    ks_mac_free(mac);
    return NULL;
}

ks_mac *ks_mac_new(const void *secret, size_t size) {
    if (size == 0)
        return NULL; /* anybody could sign with it */
    ks_mac *mac = allocate();
    return finish(mac, mac != NULL && set_key(mac, secret, size));
}

ks_mac *ks_mac_copy(const ks_mac *mac) {
    ks_mac *copy = allocate();
    return finish(copy, copy != NULL && EVP_MD_CTX_copy_ex(copy->inner, mac->inner) == 1 &&
                            EVP_MD_CTX_copy_ex(copy->outer, mac->outer) == 1);
}

void ks_mac_free(ks_mac *mac) {
    if (mac == NULL)
        return;
    EVP_MD_CTX_free(mac->inner);
    EVP_MD_CTX_free(mac->outer);
    EVP_MD_CTX_free(mac->work);
    free(mac);
}

bool ks_mac_compute(ks_mac *mac, ks_span text, unsigned char digest[KS_MAC_SIZE]) {
    EVP_MD_CTX *work = mac->work;
    if (EVP_MD_CTX_copy_ex(work, mac->inner) == 1 &&
        EVP_DigestUpdate(work, text.data, text.size) == 1 &&
        EVP_DigestFinal_ex(work, digest, NULL) == 1 && EVP_MD_CTX_copy_ex(work, mac->outer) == 1 &&
        EVP_DigestUpdate(work, digest, KS_MAC_SIZE) == 1 &&
        EVP_DigestFinal_ex(work, digest, NULL) == 1)
        return true;
    ERR_clear_error();
    return false;
}
