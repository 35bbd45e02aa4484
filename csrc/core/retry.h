/* How long to pause before another attempt, and whether one may be made at all.
 *
 * The budget is shared by all calls of a client: a platform in trouble gets a bounded number of
 * extra requests, however many callers want to try again. Each retry costs; the first successes
 * after that pay back. A call that made a retry and then succeeded gives its cost back.
 */
#ifndef KS_RETRY_H
#define KS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

enum {
    KS_RETRY_CAPACITY = 500,
    KS_RETRY_COST = 5,
    KS_RETRY_COST_TIMEOUT = 10,
    KS_RETRY_REWARD = 1,      /* for a call that succeeded at its first attempt */
    KS_RETRY_ATTEMPTS_MAX = 5 /* requests of one call, whatever the budget holds */
};

typedef struct ks_retry {
    int32_t tokens;
    uint64_t random; /* state of the generator behind the jitter */
} ks_retry;

/* `seed` makes the pauses of two processes differ; any number does. */
void ks_retry_init(ks_retry *retry, uint64_t seed);

/* Takes `cost` out of the budget; false, taking nothing, where it doesn't hold so much. */
bool ks_retry_spend(ks_retry *retry, int32_t cost);

/* Puts tokens back, up to the capacity. */
void ks_retry_earn(ks_retry *retry, int32_t tokens);

/* Milliseconds to pause after attempt number `attempt` (from 1): "full jitter", anything between
 * nothing and a bound that doubles with each attempt. */
int64_t ks_retry_pause(ks_retry *retry, int attempt);

#endif
