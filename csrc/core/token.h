/* The access token: when to fetch, keep, refresh and distrust it.
 *
 * One fetch is under way at a time. A caller who asks is told what to do; whoever is told FETCH
 * holds `ticket` and must end it with `store`, `fail` or `abandon`. Well before the end a token
 * is refreshed by one caller while the others go on with the old one; shortly before the end it is
 * used no more. A failed fetch is remembered for a moment, so that callers who waited for it do not
 * repeat it one after another.
 *
 * Where processes share a token (keysecure.token_store), whoever is told FETCH looks at what they
 * left before fetching, and ends the fetch with `adopt` or `stand_back` where one of them was
 * first.
 */
#ifndef KS_TOKEN_H
#define KS_TOKEN_H

#include "core/clock.h"
#include "core/fault.h"
#include "core/record.h"
#include "core/text.h"

enum { KS_TOKEN_SIZE_MAX = 4096 };

typedef struct ks_token {
    ks_text value;
    uint32_t generation; /* counts the tokens stored; names the one that a request used */
    uint32_t serial;     /* counts those fetched by all who share them, as far as seen here */
    int64_t expires;     /* server time */
    int64_t lifetime;    /* what it had left when it was stored */
    bool usable;
    bool fetching;
    uint32_t ticket;     /* of the fetch under way, or the last one */
    int64_t fetch_until; /* monotonic: when the fetch under way has ended at the latest */
    int64_t failed_until;
    int64_t elsewhere_until; /* another process refreshes it: none of this one tries before then */
    ks_fault failure;        /* of the last fetch, as long as `failed_until` isn't past */
} ks_token;

typedef enum ks_token_advice {
    KS_TOKEN_USE,   /* `value` is good */
    KS_TOKEN_FETCH, /* you fetch; `value` may still be good (ks_token_good) */
    KS_TOKEN_WAIT,  /* somebody fetches; ask again when that has ended, by `fetch_until` */
    KS_TOKEN_FAILED /* a fetch just failed: `failure` */
} ks_token_advice;

void ks_token_init(ks_token *token);
void ks_token_cleanup(ks_token *token);

/* What a caller with until `deadline` (monotonic) should do now. */
ks_token_advice ks_token_ask(ks_token *token, const ks_clock *clock, ks_now now, int64_t deadline);

/* Whether the token can still be used. */
bool ks_token_good(const ks_token *token, const ks_clock *clock, ks_now now);

/* Ends a fetch with a token that is good until `expires`, server time. False where it's too long.
 */
bool ks_token_store(ks_token *token, const ks_clock *clock, ks_now now, ks_span value,
                    int64_t expires);

/* Ends the fetch of this ticket with a token that another process fetched. False, ending nothing,
 * where it is no newer than the one here, or not good. */
bool ks_token_adopt(ks_token *token, uint32_t ticket, const ks_clock *clock, ks_now now,
                    const ks_shared_token *shared);

/* Ends the fetch of this ticket since another process fetches, and lets callers go on with the
 * token here for a moment. False, ending nothing, where that isn't good. */
bool ks_token_stand_back(ks_token *token, uint32_t ticket, const ks_clock *clock, ks_now now);

/* Ends the fetch of this ticket, which failed; nothing where somebody else has taken over since. */
void ks_token_fail(ks_token *token, uint32_t ticket, ks_now now, const ks_fault *failure);

/* Ends the fetch of this ticket, which was given up, as if it had not begun. */
void ks_token_abandon(ks_token *token, uint32_t ticket);

/* The platform refused the token of this generation. A newer one is not touched. */
void ks_token_distrust(ks_token *token, uint32_t generation);

#endif
