/* HMAC-SHA256 (RFC 2104), keyed once and used many times, by one thread at a time.
 *
 * The secret is not kept, only libcrypto's hash states made from it, which libcrypto wipes when it
 * frees them. libcrypto's error queue is empty when a function returns.
 */
#ifndef KS_MAC_H
#define KS_MAC_H

#include "core/text.h"

#define KS_MAC_SIZE 32

typedef struct ks_mac ks_mac;

/* NULL when the secret is empty, or libcrypto or the memory failed. */
ks_mac *ks_mac_new(const void *secret, size_t size);

/* Another one of the same secret; NULL as above. */
ks_mac *ks_mac_copy(const ks_mac *mac);

void ks_mac_free(ks_mac *mac);

/* False when libcrypto failed. */
bool ks_mac_compute(ks_mac *mac, ks_span text, unsigned char digest[KS_MAC_SIZE]);

#endif
