#include "core/sharing.h"

/* After a day the server's clock is known to half a minute, and a guess is as good. */
enum { CLOCK_KEPT = 24 * 60 * 60 * 1000 };

/* The platform's codes that concern the machine that called, not the key [P]. */
enum { CODE_ADDRESS = 1003, CODE_TIMESTAMP = 1005 };

static ks_span span_of(const ks_text *text) {
    return (ks_span){text->data, text->size};
}

static bool same(ks_span a, ks_span b) {
    return a.size == b.size && a.size > 0 && memcmp(a.data, b.data, a.size) == 0;
}

static void adopt_clock(ks_clock *clock, ks_now now, const ks_common_time *common,
                        const ks_sight *sight) {
    if (!common->known || !sight->known || !same(common->epoch, sight->epoch) ||
        common->at < sight->at || common->at - sight->at > CLOCK_KEPT)
        return;
    int64_t age = common->at - sight->at;
    ks_clock_adopt(clock, common->before - age, now.monotonic - age, sight->earliest,
                   sight->latest);
}

bool ks_sharing_adopt(ks_call *call, ks_now now, const ks_common_time *common, ks_span text) {
    ks_client *client = call->client;
    ks_shared_token shared;
    ks_sight sight;
    ks_text record;
    bool adopted = false;
    if (!call->seeking)
        return false;
    ks_text_init(&record, KS_SEAL_PLAIN_MAX, KS_TEXT_SECRET);
    if (ks_seal_open(&client->seal, text, &record) &&
        ks_record_read_token(span_of(&record), &shared, &sight)) {
        adopt_clock(&client->clock, now, common, &sight);
        adopted = ks_token_adopt(&client->token, call->ticket, &client->clock, now, &shared);
    }
    ks_text_cleanup(&record);
    if (adopted) {
        call->seeking = call->fetching = false;
        call->fetched = true;
    }
    return adopted;
}

void ks_sharing_elected(ks_call *call) {
    call->elected = call->seeking;
    call->seeking = false;
}

bool ks_sharing_stand_back(ks_call *call, ks_now now) {
    ks_client *client = call->client;
    if (!call->seeking || !ks_token_stand_back(&client->token, call->ticket, &client->clock, now))
        return false;
    call->seeking = call->fetching = false;
    return true;
}

bool ks_sharing_told(ks_call *call, ks_now now, ks_span text) {
    ks_client *client = call->client;
    ks_fault failure;
    ks_text record;
    if (!call->seeking)
        return false;
    ks_text_init(&record, KS_SEAL_PLAIN_MAX, KS_TEXT_SECRET);
    bool read = ks_seal_open(&client->seal, text, &record) &&
                ks_record_read_failure(span_of(&record), &failure);
    ks_text_cleanup(&record);
    if (read) {
        ks_token_fail(&client->token, call->ticket, now, &failure);
        call->seeking = call->fetching = false;
    }
    return read;
}

/* A machine that can't reach the platform, or may not, must not fail the calls of those that can.
 */
static bool concerns_all(const ks_fault *failure) {
    return failure->kind == KS_FAULT_API && failure->code != CODE_ADDRESS &&
           failure->code != CODE_TIMESTAMP;
}

static bool just_failed(const ks_call *call, ks_now now) {
    const ks_token *token = &call->client->token;
    return token->ticket == call->ticket && now.monotonic < token->failed_until;
}

static bool write_token(const ks_client *client, ks_now now, const ks_common_time *common,
                        ks_text *record) {
    const ks_token *token = &client->token;
    ks_now before = {common->before, now.wall - (now.monotonic - common->before)};
    ks_sight sight = {.at = common->at, .epoch = common->epoch};
    int64_t unused;
    /* The common clock was read at some moment between the two. */
    sight.known = common->known && common->epoch.size <= KS_RECORD_EPOCH_MAX &&
                  ks_clock_bounds(&client->clock, before, &sight.earliest, &unused) &&
                  ks_clock_bounds(&client->clock, now, &unused, &sight.latest);
    if (!sight.known)
        sight = (ks_sight){0};
    ks_shared_token shared = {span_of(&token->value), token->serial, token->expires,
                              token->lifetime};
    return ks_record_write_token(record, &shared, &sight);
}

ks_sharing_kind ks_sharing_record(const ks_call *call, ks_now now, const ks_common_time *common,
                                  ks_text *text, int64_t *lasts) {
    const ks_client *client = call->client;
    const ks_token *token = &client->token;
    ks_sharing_kind kind = KS_SHARING_NOTHING;
    ks_text record;
    ks_text_init(&record, KS_SEAL_PLAIN_MAX, KS_TEXT_SECRET);
    if (call->fetched && token->usable) {
        int64_t left = token->expires - ks_clock_latest(&client->clock, now);
        *lasts = (left > 0 ? left : 0) + CLOCK_KEPT;
        if (write_token(client, now, common, &record))
            kind = KS_SHARING_TOKEN;
    } else if (just_failed(call, now) && concerns_all(&token->failure)) {
        if (ks_record_write_failure(&record, &token->failure))
            kind = KS_SHARING_FAILURE;
    }
    if (kind != KS_SHARING_NOTHING && !ks_seal_close(&client->seal, span_of(&record), text))
        kind = KS_SHARING_NOTHING;
    ks_text_cleanup(&record);
    return kind;
}

void ks_sharing_shared(ks_call *call) {
    call->elected = false;
}
