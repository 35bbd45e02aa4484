/* Seals what one client leaves for its like: AES-256-GCM under a key that only those can make who
 * know address, Api-Key and secret. What is sealed can be neither read nor forged by others, and
 * comes as Base64, so that it can be kept anywhere.
 */
#ifndef KS_SEAL_H
#define KS_SEAL_H

#include "core/text.h"

enum {
    KS_SEAL_NAME_SIZE = 32,       /* hex digits */
    KS_SEAL_PLAIN_MAX = 5 * 1024, /* bytes that can be sealed */
    KS_SEAL_TEXT_MAX = 8 * 1024   /* bytes of a sealed text */
};

typedef struct ks_seal {
    unsigned char key[32];
    char name[KS_SEAL_NAME_SIZE]; /* where to keep it: the same for the same three, and not readable
                                   */
} ks_seal;

/* Allocates nothing. False where libcrypto failed. */
bool ks_seal_init(ks_seal *seal, ks_span secret, ks_span address, ks_span api_key);

/* Wipes. A seal of zero bytes may be cleaned up too. */
void ks_seal_cleanup(ks_seal *seal);

/* Appends the sealed text. */
bool ks_seal_close(const ks_seal *seal, ks_span plain, ks_text *text);

/* Appends what was sealed. False, appending nothing, for anything that was not sealed so. */
bool ks_seal_open(const ks_seal *seal, ks_span text, ks_text *plain);

#endif
