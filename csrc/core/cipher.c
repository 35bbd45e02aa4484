#include "core/cipher.h"

#include "core/base64.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { BLOCK = 16, KEPT = 4096 /* bytes of scratch space kept between two uses */ };

struct ks_cipher {
    EVP_CIPHER_CTX *sealer;
    EVP_CIPHER_CTX *opener;
    ks_text blocks; /* the ciphertext on its way to or from Base64 */
};

const char *ks_cipher_reason(ks_cipher_status status) {
    switch (status) {
    case KS_CIPHER_OK:
        return "no error";
    case KS_CIPHER_NOT_BASE64:
        return "not Base64";
    case KS_CIPHER_NOT_BLOCKS:
        return "ciphertext is not whole blocks of 16 bytes";
    case KS_CIPHER_NOT_OPENED:
        return "wrong key or damaged ciphertext";
    case KS_CIPHER_TOO_LARGE:
        return "too large";
    case KS_CIPHER_UNAVAILABLE:
        return "libcrypto failed or memory ran out";
    }
    return "unknown status";
}

static bool read_hex(const char *text, size_t size, ks_text *out) {
    if (size % 2 != 0)
        return false;
    for (size_t i = 0; i < size; i += 2) {
        int high = ks_hex_digit(text[i]), low = ks_hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        ks_text_append_byte(out, (char)(high * 16 + low));
    }
    return !out->failed;
}

bool ks_cipher_key_read(const char *secret, size_t size, ks_cipher_encoding encoding,
                        ks_text *key) {
    switch (encoding) {
    case KS_CIPHER_UTF8:
        return ks_text_append(key, secret, size);
    case KS_CIPHER_BASE64:
        return ks_base64_decode(secret, size, key);
    case KS_CIPHER_HEX:
        return read_hex(secret, size, key);
    }
    return false;
}

static const EVP_CIPHER *algorithm(size_t key_size) {
    switch (key_size) {
    case 16:
        return EVP_aes_128_ecb();
    case 24:
        return EVP_aes_192_ecb();
    case 32:
        return EVP_aes_256_ecb();
    default:
        return NULL;
    }
}

bool ks_cipher_key_fits(size_t size) {
    return size == 16 || size == 24 || size == 32;
}

ks_cipher *ks_cipher_new(const void *key, size_t size) {
    if (!ks_cipher_key_fits(size))
        return NULL;
    ks_cipher *cipher = calloc(1, sizeof *cipher);
    if (cipher == NULL)
        return NULL;
    ks_text_init(&cipher->blocks, KS_CIPHER_BASE64_MAX, KS_TEXT_PLAIN);
    cipher->sealer = EVP_CIPHER_CTX_new();
    cipher->opener = EVP_CIPHER_CTX_new();
    bool good = cipher->sealer != NULL && cipher->opener != NULL &&
                EVP_EncryptInit_ex(cipher->sealer, algorithm(size), NULL, key, NULL) == 1 &&
                EVP_DecryptInit_ex(cipher->opener, algorithm(size), NULL, key, NULL) == 1;
    if (!good) {
        ks_cipher_free(cipher);
        cipher = NULL;
    }
    /* On success too: looking up an algorithm tries providers, and may note what it did not find.
     */
    ERR_clear_error();
    return cipher;
}

void ks_cipher_free(ks_cipher *cipher) {
    if (cipher == NULL)
        return;
    EVP_CIPHER_CTX_free(cipher->sealer);
    EVP_CIPHER_CTX_free(cipher->opener);
    ks_text_cleanup(&cipher->blocks);
    free(cipher);
}

static ks_cipher_status failed(ks_cipher_status status) {
    ERR_clear_error();
    return status;
}

static ks_cipher_status no_room(const ks_text *out, size_t more) {
    bool too_large = out->size > out->maximum || more > out->maximum - out->size;
    return failed(too_large ? KS_CIPHER_TOO_LARGE : KS_CIPHER_UNAVAILABLE);
}

ks_cipher_status ks_cipher_encrypt(ks_cipher *cipher, const void *plain, size_t size,
                                   ks_text *out) {
    ks_text *blocks = &cipher->blocks;
    int first = 0, rest = 0;

    if (size > KS_CIPHER_PLAIN_MAX)
        return failed(KS_CIPHER_TOO_LARGE);
    ks_text_recycle(blocks, KEPT);
    if (!ks_text_reserve(blocks, size + BLOCK))
        return no_room(blocks, size + BLOCK);
    unsigned char *room = (unsigned char *)blocks->data;
    /* Init without key or cipher only rewinds the context. */
    if (EVP_EncryptInit_ex(cipher->sealer, NULL, NULL, NULL, NULL) != 1 ||
        EVP_EncryptUpdate(cipher->sealer, room, &first, plain, (int)size) != 1 ||
        EVP_EncryptFinal_ex(cipher->sealer, room + first, &rest) != 1)
        return failed(KS_CIPHER_UNAVAILABLE);
    blocks->size = (size_t)first + (size_t)rest;
    if (!ks_base64_encode(blocks->data, blocks->size, out))
        return no_room(out, (blocks->size + 2) / 3 * 4);
    return KS_CIPHER_OK;
}

ks_cipher_status ks_cipher_decrypt(ks_cipher *cipher, const char *base64, size_t size,
                                   ks_text *out) {
    ks_text *blocks = &cipher->blocks;
    int first = 0, rest = 0;

    if (size > KS_CIPHER_BASE64_MAX)
        return failed(KS_CIPHER_TOO_LARGE);
    ks_text_recycle(blocks, KEPT);
    if (!ks_base64_decode(base64, size, blocks))
        return failed(blocks->failed ? KS_CIPHER_UNAVAILABLE : KS_CIPHER_NOT_BASE64);
    if (blocks->size == 0 || blocks->size % BLOCK != 0)
        return failed(KS_CIPHER_NOT_BLOCKS);
    /* libcrypto asks for one block more than it will fill. */
    size_t room = blocks->size + BLOCK;
    if (!ks_text_reserve(out, room))
        return no_room(out, room);
    unsigned char *plain = (unsigned char *)out->data + out->size;
    if (EVP_DecryptInit_ex(cipher->opener, NULL, NULL, NULL, NULL) != 1 ||
        EVP_DecryptUpdate(cipher->opener, plain, &first, (unsigned char *)blocks->data,
                          (int)blocks->size) != 1 ||
        EVP_DecryptFinal_ex(cipher->opener, plain + first, &rest) != 1)
        return failed(KS_CIPHER_NOT_OPENED);
    out->size += (size_t)first + (size_t)rest;
    return KS_CIPHER_OK;
}
