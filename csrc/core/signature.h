/* Signatures of callbacks: HMAC-SHA256 over the canonical text, 64 lower-case hex digits [api.md
 * 6].
 *
 * A ks_signer is keyed once and used many times, by one thread at a time; what is said of the
 * secret in mac.h goes for it too.
 */
#ifndef KS_SIGNATURE_H
#define KS_SIGNATURE_H

#include "core/canonical.h"
#include "core/json.h"
#include "core/mac.h"
#include "core/text.h"

#define KS_SIGNATURE_SIZE 64
#define KS_SIGNATURE_KEPT (16 * 1024) /* bytes of a text kept between two callbacks */

typedef struct ks_signer ks_signer;

typedef enum ks_signature_status {
    KS_SIGNATURE_OK,
    KS_SIGNATURE_MISSHAPEN,  /* not 64 lower-case hex digits, as published; nothing was computed */
    KS_SIGNATURE_REFUSED,    /* it belongs to other data, another header or another secret */
    KS_SIGNATURE_BAD_DATA,   /* the data cannot be written canonically; see `fault` */
    KS_SIGNATURE_UNAVAILABLE /* libcrypto or the memory failed */
} ks_signature_status;

/* What is signed. `data` is JSON text; `timestamp` the text of the header. */
typedef struct ks_signed {
    ks_span data;
    ks_span app_id;
    ks_span timestamp;
} ks_signed;

/* A constant sentence for people; that of BAD_DATA is in the fault. */
const char *ks_signature_reason(ks_signature_status status);

/* The bytes of a signature; false when it is not 64 lower-case hex digits. */
bool ks_signature_read_hex(const char *hex, size_t size, unsigned char digest[KS_MAC_SIZE]);

/* NULL when the secret is empty, or libcrypto or the memory failed. */
ks_signer *ks_signer_new(const void *secret, size_t size);
void ks_signer_free(ks_signer *signer);

ks_signature_status ks_signer_sign(ks_signer *signer, const ks_signed *what, ks_order order,
                                   char hex[KS_SIGNATURE_SIZE], ks_json_fault *fault);

/* OK when the signature fits either order. Comparing takes the same time wherever the first wrong
 * digit is, and the answer does not say which order was meant. */
ks_signature_status ks_signer_verify(ks_signer *signer, const ks_signed *what, const char *hex,
                                     size_t hex_size, ks_json_fault *fault);

#endif
