#include "core/retry.h"

#include <stdlib.h>

enum { FIRST_BOUND = 100, LAST_BOUND = 5000 }; /* milliseconds */

ks_retry *ks_retry_new(uint64_t seed) {
    ks_retry *retry = malloc(sizeof *retry);
    if (retry != NULL)
        *retry = (ks_retry){.references = 1, .tokens = KS_RETRY_CAPACITY, .random = seed};
    return retry;
}

ks_retry *ks_retry_acquire(ks_retry *retry) {
    retry->references++;
    return retry;
}

void ks_retry_release(ks_retry *retry) {
    if (retry != NULL && --retry->references == 0)
        free(retry);
}

bool ks_retry_spend(ks_retry *retry, int32_t cost) {
    if (retry->tokens < cost)
        return false;
    retry->tokens -= cost;
    return true;
}

void ks_retry_earn(ks_retry *retry, int32_t tokens) {
    retry->tokens += tokens;
    if (retry->tokens > KS_RETRY_CAPACITY)
        retry->tokens = KS_RETRY_CAPACITY;
}

/* A Weyl sequence through a mixing function: spread matters here, secrecy does not. */
static uint64_t next_random(ks_retry *retry) {
    retry->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = retry->random;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

int64_t ks_retry_pause(ks_retry *retry, int attempt) {
    int64_t bound = FIRST_BOUND;
    for (int i = 1; i < attempt && bound < LAST_BOUND; i++)
        bound *= 2;
    if (bound > LAST_BOUND)
        bound = LAST_BOUND;
    return (int64_t)(next_random(retry) % (uint64_t)(bound + 1));
}
