/* How long to pause before another attempt, and whether one may be made at all.
 *
 * The budget is shared by all calls of all clients that hold it: a platform in trouble gets a
 * bounded number of extra requests, however many callers want to try again. Each retry costs; calls
 * that succeed at once pay back. A call that made a retry and then succeeded gives its cost back.
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
    uint32_t references;
    int32_t tokens;
    uint64_t random; /* state of the generator behind the jitter */
} ks_retry;

/* A full budget. `seed` makes the pauses of two processes differ; any number does. NULL where there
 * is no memory. */
ks_retry *ks_retry_new(uint64_t seed);

ks_retry *ks_retry_acquire(ks_retry *retry);

/* The last one out frees. NULL is fine. */
void ks_retry_release(ks_retry *retry);

/* Takes `cost` out of the budget; false, taking nothing, where it doesn't hold so much. */
bool ks_retry_spend(ks_retry *retry, int32_t cost);

/* Puts tokens back, up to the capacity. */
void ks_retry_earn(ks_retry *retry, int32_t tokens);

/* Milliseconds to pause after attempt number `attempt` (from 1): "full jitter", anything between
 * nothing and a bound that doubles with each attempt. */
int64_t ks_retry_pause(ks_retry *retry, int attempt);

#endif
