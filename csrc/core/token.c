#include "core/token.h"

#include <string.h>

enum { /* milliseconds */
       REFRESH_AHEAD_MAX = 10 * 60 * 1000,
       UNUSABLE_AHEAD_MAX = 30 * 1000,
       FAILURE_REMEMBERED = 1000,
       REFRESH_AWAITED = 500
};

void ks_token_init(ks_token *token) {
    *token = (ks_token){0};
    ks_text_init(&token->value, KS_TOKEN_SIZE_MAX, KS_TEXT_SECRET);
}

void ks_token_cleanup(ks_token *token) {
    ks_text_cleanup(&token->value);
}

static int64_t at_most(int64_t value, int64_t limit) {
    return value < limit ? value : limit;
}

static int64_t time_left(const ks_token *token, const ks_clock *clock, ks_now now) {
    return token->expires - ks_clock_latest(clock, now);
}

static bool lasts(int64_t left, int64_t lifetime) {
    return left > at_most(lifetime / 20, UNUSABLE_AHEAD_MAX);
}

/* Short-lived tokens have both windows shrunk with them. */
static bool wants_refresh(const ks_token *token, const ks_clock *clock, ks_now now) {
    return time_left(token, clock, now) < at_most(token->lifetime / 5, REFRESH_AHEAD_MAX);
}

bool ks_token_good(const ks_token *token, const ks_clock *clock, ks_now now) {
    return token->usable && lasts(time_left(token, clock, now), token->lifetime);
}

ks_token_advice ks_token_ask(ks_token *token, const ks_clock *clock, ks_now now, int64_t deadline) {
    bool good = ks_token_good(token, clock, now);
    /* A fetch whose holder vanished without a word ends with the holder's time. */
    bool fetching = token->fetching && now.monotonic < token->fetch_until;
    bool failed = now.monotonic < token->failed_until;
    bool elsewhere = now.monotonic < token->elsewhere_until;
    if (good && (fetching || failed || elsewhere || !wants_refresh(token, clock, now)))
        return KS_TOKEN_USE;
    if (fetching)
        return KS_TOKEN_WAIT;
    if (failed)
        return KS_TOKEN_FAILED;
    token->fetching = true;
    token->ticket++;
    token->fetch_until = deadline;
    return KS_TOKEN_FETCH;
}

static bool replace(ks_token *token, ks_span value, int64_t expires) {
    token->fetching = false;
    token->usable = false;
    ks_text_clear(&token->value);
    if (value.size == 0 || !ks_text_append_span(&token->value, value))
        return false;
    token->generation++;
    token->expires = expires;
    token->failed_until = 0;
    token->elsewhere_until = 0;
    token->usable = true;
    return true;
}

bool ks_token_store(ks_token *token, const ks_clock *clock, ks_now now, ks_span value,
                    int64_t expires) {
    if (!replace(token, value, expires))
        return false;
    token->serial++;
    token->lifetime = time_left(token, clock, now);
    return true;
}

static bool is_value(const ks_token *token, ks_span value) {
    return token->value.size == value.size && value.size > 0 &&
           memcmp(token->value.data, value.data, value.size) == 0;
}

bool ks_token_adopt(ks_token *token, uint32_t ticket, const ks_clock *clock, ks_now now,
                    const ks_shared_token *shared) {
    if (token->ticket != ticket)
        return false;
    /* An older one is what a process left that could not save its next. */
    bool newer = shared->serial >= token->serial && !is_value(token, shared->value);
    if (shared->serial > token->serial)
        token->serial = shared->serial; /* one fetched now is newer than this as well */
    if (!newer || !lasts(shared->expires - ks_clock_latest(clock, now), shared->lifetime) ||
        !replace(token, shared->value, shared->expires))
        return false;
    token->lifetime = shared->lifetime;
    return true;
}

bool ks_token_stand_back(ks_token *token, uint32_t ticket, const ks_clock *clock, ks_now now) {
    if (token->ticket != ticket || !ks_token_good(token, clock, now))
        return false;
    token->fetching = false;
    token->elsewhere_until = now.monotonic + REFRESH_AWAITED;
    return true;
}

void ks_token_fail(ks_token *token, uint32_t ticket, ks_now now, const ks_fault *failure) {
    if (token->ticket != ticket)
        return;
    token->fetching = false;
    token->failed_until = now.monotonic + FAILURE_REMEMBERED;
    token->failure = *failure;
}

void ks_token_abandon(ks_token *token, uint32_t ticket) {
    if (token->ticket == ticket)
        token->fetching = false;
}

void ks_token_distrust(ks_token *token, uint32_t generation) {
    if (token->generation == generation)
        token->usable = false;
}
