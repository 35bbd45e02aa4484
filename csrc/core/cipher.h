/* AES/ECB/PKCS5Padding with standard Base64 around it [api.md 5].
 *
 * A ks_cipher is keyed once and used many times, by one thread at a time. It keeps the key inside
 * libcrypto's contexts, which wipe it when they are freed. Whatever a function answers, libcrypto's
 * error queue is empty when it returns: in a server that queue belongs to everybody's TLS.
 */
#ifndef KS_CIPHER_H
#define KS_CIPHER_H

#include "core/text.h"

#define KS_CIPHER_PLAIN_MAX  (1024 * 1024) /* bytes of one plaintext */
#define KS_CIPHER_BASE64_MAX ((KS_CIPHER_PLAIN_MAX / 16 + 1) * 16 / 3 * 4 + 4)
#define KS_CIPHER_KEY_MAX    32

typedef struct ks_cipher ks_cipher;

typedef enum ks_cipher_status {
    KS_CIPHER_OK,
    KS_CIPHER_NOT_BASE64,
    KS_CIPHER_NOT_BLOCKS,  /* empty, or no multiple of 16 bytes */
    KS_CIPHER_NOT_OPENED,  /* wrong key or damaged ciphertext; nothing can tell which */
    KS_CIPHER_TOO_LARGE,   /* past KS_CIPHER_PLAIN_MAX, or past the maximum of `out` */
    KS_CIPHER_UNAVAILABLE, /* libcrypto or the memory failed */
} ks_cipher_status;

/* A constant sentence for people. */
const char *ks_cipher_reason(ks_cipher_status status);

/* How the bytes of the key are got from the secret's text [A6]. */
typedef enum ks_cipher_encoding {
    KS_CIPHER_UTF8, /* the bytes as they are */
    KS_CIPHER_BASE64,
    KS_CIPHER_HEX, /* of either case */
} ks_cipher_encoding;

/* Reads a secret into `key`, which should be a secret text. False when it is not written in that
 * encoding, or is longer than `key` may grow. Any length passes; see `ks_cipher_key_fits`. */
bool ks_cipher_key_read(const char *secret, size_t size, ks_cipher_encoding encoding, ks_text *key);

/* Whether AES takes a key of that many bytes: 16, 24 or 32. */
bool ks_cipher_key_fits(size_t size);

/* NULL when the key does not fit, or libcrypto or the memory failed. The key is not kept. */
ks_cipher *ks_cipher_new(const void *key, size_t size);
void ks_cipher_free(ks_cipher *cipher);

/* Appends the Base64 of the encrypted plaintext to `out`. */
ks_cipher_status ks_cipher_encrypt(ks_cipher *cipher, const void *plain, size_t size, ks_text *out);

/* Appends the plaintext to `out`, which should be a secret text; appends nothing on failure. */
ks_cipher_status ks_cipher_decrypt(ks_cipher *cipher, const char *base64, size_t size,
                                   ks_text *out);

#endif
