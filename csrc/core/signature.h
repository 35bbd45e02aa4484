/* Signatures of callbacks: HMAC-SHA256 over the canonical text, 64 lower-case hex digits [api.md
 * 6].
 *
 * A ks_signer is keyed once and used many times, by one thread at a time. The secret is not kept,
 * only libcrypto's hash states made from it, which libcrypto wipes when it frees them. libcrypto's
 * error queue is empty when a function returns.
 */
#ifndef KS_SIGNATURE_H
#define KS_SIGNATURE_H

#include "core/canonical.h"
#include "core/json.h"
#include "core/text.h"

#define KS_SIGNATURE_SIZE 64

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
