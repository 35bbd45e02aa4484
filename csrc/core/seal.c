#include "core/seal.h"

#include "core/base64.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

enum { VERSION = 1, NONCE = 12, TAG = 16, KEY = 32, HEAD = 1 + NONCE };

/* Keys ---------------------------------------------------------------------------------------- */

static bool derive(ks_span key, ks_span what, unsigned char derived[KEY]) {
    unsigned int size = 0;
    return HMAC(EVP_sha256(), key.data, (int)key.size, (const unsigned char *)what.data, what.size,
                derived, &size) != NULL &&
           size == KEY;
}

/* Spells out all three, so that none of them can pass for a part of another. */
static bool describe(ks_text *text, ks_span address, ks_span api_key) {
    static const char purpose[] = "keysecure token store";
    ks_text_append(text, purpose, sizeof purpose); /* with its zero */
    ks_text_append_span(text, address);
    ks_text_append_byte(text, '\0');
    return ks_text_append_span(text, api_key);
}

static void write_hex(const unsigned char *bytes, char hex[KS_SEAL_NAME_SIZE]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < KS_SEAL_NAME_SIZE / 2; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
}

bool ks_seal_init(ks_seal *seal, ks_span secret, ks_span address, ks_span api_key) {
    unsigned char root[KEY], name[KEY];
    ks_text text;
    ks_text_init(&text, KS_SEAL_PLAIN_MAX, KS_TEXT_SECRET);
    bool good = describe(&text, address, api_key) &&
                derive(secret, (ks_span){text.data, text.size}, root) &&
                derive((ks_span){(const char *)root, KEY}, (ks_span){"name", 4}, name) &&
                derive((ks_span){(const char *)root, KEY}, (ks_span){"key", 3}, seal->key);
    if (good)
        write_hex(name, seal->name);
    ks_text_cleanup(&text);
    OPENSSL_cleanse(root, sizeof root);
    ERR_clear_error();
    return good;
}

void ks_seal_cleanup(ks_seal *seal) {
    OPENSSL_cleanse(seal, sizeof *seal);
}

/* Sealing ------------------------------------------------------------------------------------- */

/* Behind `box->data`: version, nonce, then the ciphertext and its tag. */
static bool encrypt(EVP_CIPHER_CTX *context, const ks_seal *seal, ks_span plain, ks_text *box) {
    unsigned char *head = (unsigned char *)box->data, *body = head + HEAD;
    int size = 0, rest = 0;
    head[0] = VERSION;
    if (RAND_bytes(head + 1, NONCE) != 1 ||
        EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, seal->key, head + 1) != 1 ||
        EVP_EncryptUpdate(context, NULL, &size, head, 1) != 1 ||
        EVP_EncryptUpdate(context, body, &size, (const unsigned char *)plain.data,
                          (int)plain.size) != 1 ||
        EVP_EncryptFinal_ex(context, body + size, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG, body + plain.size) != 1)
        return false;
    box->size = HEAD + plain.size + TAG;
    return true;
}

bool ks_seal_close(const ks_seal *seal, ks_span plain, ks_text *text) {
    ks_text box;
    if (plain.size == 0 || plain.size > KS_SEAL_PLAIN_MAX)
        return false;
    ks_text_init(&box, KS_SEAL_TEXT_MAX, KS_TEXT_PLAIN);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool good = context != NULL && ks_text_reserve(&box, HEAD + plain.size + TAG) &&
                encrypt(context, seal, plain, &box) && ks_base64_encode(box.data, box.size, text);
    EVP_CIPHER_CTX_free(context);
    ks_text_cleanup(&box);
    ERR_clear_error();
    return good;
}

static bool decrypt(EVP_CIPHER_CTX *context, const ks_seal *seal, const ks_text *box,
                    ks_text *plain) {
    const unsigned char *head = (const unsigned char *)box->data, *body = head + HEAD;
    size_t content = box->size - HEAD - TAG;
    unsigned char tag[TAG];
    int size = 0, rest = 0;
    memcpy(tag, body + content, TAG);
    unsigned char *room = (unsigned char *)plain->data + plain->size;
    if (EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, seal->key, head + 1) != 1 ||
        EVP_DecryptUpdate(context, NULL, &size, head, 1) != 1 ||
        EVP_DecryptUpdate(context, room, &size, body, (int)content) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG, tag) != 1 ||
        EVP_DecryptFinal_ex(context, room + size, &rest) != 1) {
        OPENSSL_cleanse(room, content);
        return false;
    }
    plain->size += content;
    return true;
}

bool ks_seal_open(const ks_seal *seal, ks_span text, ks_text *plain) {
    ks_text box;
    if (text.size > KS_SEAL_TEXT_MAX)
        return false;
    ks_text_init(&box, KS_SEAL_TEXT_MAX, KS_TEXT_PLAIN);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool good = context != NULL && ks_base64_decode(text.data, text.size, &box) &&
                box.size > HEAD + TAG && box.data[0] == VERSION &&
                ks_text_reserve(plain, box.size - HEAD - TAG) &&
                decrypt(context, seal, &box, plain);
    EVP_CIPHER_CTX_free(context);
    ks_text_cleanup(&box);
    ERR_clear_error();
    return good;
}
