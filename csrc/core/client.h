/* What the calls of one client share: where the platform is, the key, the clock, the access token,
 * the retry budget. Counted references: every call holds its client.
 */
#ifndef KS_CLIENT_H
#define KS_CLIENT_H

#include "core/clock.h"
#include "core/retry.h"
#include "core/seal.h"
#include "core/text.h"
#include "core/token.h"

#include <stdint.h>

enum { KS_CLIENT_OPTION_MAX = 1024 }; /* bytes of each option */

typedef struct ks_client_options {
    ks_span address;  /* such as https://host/open-api/v1, without a slash at its end */
    ks_span api_key;  /* printable ASCII */
    ks_span language; /* of the platform's messages; nothing to leave it to the platform */
    ks_span secret;   /* where the token is shared with other processes: seals it for them */
    ks_retry *retry;  /* the budget to share with other clients, or NULL for one of its own … */
    uint64_t seed;    /* … whose pauses are drawn from this */
} ks_client_options;

typedef struct ks_client {
    uint32_t references;
    ks_text address;
    ks_text token_url;
    ks_text api_key;
    ks_text language;
    ks_clock clock;
    ks_token token;
    ks_seal seal;
    bool shares; /* the token; `seal` is set */
    ks_retry *retry;
    bool keep_young; /* the platform would not have a Timestamp near the end of its time */
} ks_client;

/* Copies the options. NULL where there is no memory or an option is too long. */
ks_client *ks_client_new(const ks_client_options *options);

ks_client *ks_client_acquire(ks_client *client);

/* In a forked child: the token fetch under way is the parent's, and the pauses shall differ from
 * its. Token, clock and retry budget stay. */
void ks_client_forked(ks_client *client, uint64_t seed);

/* The last one out frees. NULL is fine. */
void ks_client_release(ks_client *client);

#endif
