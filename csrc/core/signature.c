#include "core/signature.h"

#include <openssl/crypto.h>
#include <stdlib.h>

struct ks_signer {
    ks_mac *mac;
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

ks_signer *ks_signer_new(const void *secret, size_t size) {
    ks_signer *signer = calloc(1, sizeof *signer);
    if (signer == NULL)
        return NULL;
    ks_text_init(&signer->document, KS_CANONICAL_MAX, KS_TEXT_PLAIN);
    ks_text_init(&signer->hashed, KS_CANONICAL_MAX, KS_TEXT_PLAIN);
    signer->mac = ks_mac_new(secret, size);
    signer->canonical = ks_canonical_new();
    if (signer->mac == NULL || signer->canonical == NULL) {
        ks_signer_free(signer);
        return NULL;
    }
    return signer;
}

void ks_signer_free(ks_signer *signer) {
    if (signer == NULL)
        return;
    ks_mac_free(signer->mac);
    ks_canonical_free(signer->canonical);
    ks_text_cleanup(&signer->document);
    ks_text_cleanup(&signer->hashed);
    free(signer);
}

static ks_signature_status authenticate(ks_signer *signer, const ks_text *text,
                                        unsigned char digest[KS_MAC_SIZE]) {
    ks_span span = {.data = text->data, .size = text->size};
    return ks_mac_compute(signer->mac, span, digest) ? KS_SIGNATURE_OK : KS_SIGNATURE_UNAVAILABLE;
}

/* Writes the text of what was read last. */
static ks_signature_status write_text(ks_signer *signer, const ks_signed *what, ks_order order,
                                      ks_text *text, ks_json_fault *fault) {
    ks_text_recycle(text, KS_SIGNATURE_KEPT);
    return ks_canonical_write(signer->canonical, what->app_id, what->timestamp, order, text, fault)
               ? KS_SIGNATURE_OK
               : KS_SIGNATURE_BAD_DATA;
}

ks_signature_status ks_signer_sign(ks_signer *signer, const ks_signed *what, ks_order order,
                                   char hex[KS_SIGNATURE_SIZE], ks_json_fault *fault) {
    static const char digits[] = "0123456789abcdef";
    unsigned char ours[KS_MAC_SIZE];

    if (!ks_canonical_read(signer->canonical, what->data, fault))
        return KS_SIGNATURE_BAD_DATA;
    ks_signature_status status = write_text(signer, what, order, &signer->document, fault);
    if (status == KS_SIGNATURE_OK)
        status = authenticate(signer, &signer->document, ours);
    if (status != KS_SIGNATURE_OK)
        return status;
    for (size_t i = 0; i < KS_MAC_SIZE; i++) {
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

bool ks_signature_read_hex(const char *hex, size_t size, unsigned char digest[KS_MAC_SIZE]) {
    if (size != KS_SIGNATURE_SIZE)
        return false;
    for (size_t i = 0; i < KS_MAC_SIZE; i++) {
        int high = lower_digit(hex[2 * i]), low = lower_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        digest[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static ks_signature_status compare(ks_signer *signer, const ks_text *text,
                                   const unsigned char theirs[KS_MAC_SIZE]) {
    unsigned char ours[KS_MAC_SIZE];
    ks_signature_status status = authenticate(signer, text, ours);
    if (status != KS_SIGNATURE_OK)
        return status;
    return CRYPTO_memcmp(ours, theirs, KS_MAC_SIZE) == 0 ? KS_SIGNATURE_OK : KS_SIGNATURE_REFUSED;
}

ks_signature_status ks_signer_verify(ks_signer *signer, const ks_signed *what, const char *hex,
                                     size_t hex_size, ks_json_fault *fault) {
    unsigned char theirs[KS_MAC_SIZE];
    const ks_text *document = &signer->document, *hashed = &signer->hashed;

    if (!ks_signature_read_hex(hex, hex_size, theirs))
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
