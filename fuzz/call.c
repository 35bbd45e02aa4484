/* The life of calls, with everything that a platform, a network and a clock can do to them drawn
 * from the input: up to three calls of one client, step by step. */
#include "core/call.h"
#include "core/json.h"
#include "core/record.h"
#include "core/sharing.h"

#include "check.h"

#include <openssl/err.h>

enum {
    CALLS = 3,
    STEPS_MAX = 400,
    REPLAYS = 2, /* for the clock and for the token, beside the ordinary attempts */
    SENDS_MAX = 64,
    BODY_MAX = 200
};

static const char API_KEY[] = "key-0123456789";
static const char TOKEN[] = "token-0123456789";
static const ks_span ADDRESS = {"https://host/open-api/v1", 24};
static const ks_span TOKEN_URL = {"https://host/open-api/v1/merchant/token", 39};

/* A call and what is known of it from outside. */
typedef struct watched_call {
    ks_call call;
    bool begun;
    bool in_flight;
    bool for_token;   /* the request in flight */
    bool may_be_done; /* a request of the operation may have been carried out */
    int sends;        /* of the operation */
    int token_sends;
    int64_t deadline;
    bool write;
} watched_call;

typedef struct world {
    ks_client *client;
    ks_now now;
    source input;
    watched_call calls[CALLS];
    char *body; /* of the last answer: calls point into it */
} world;

/* Nothing secret is ever said: neither the key nor the token, where the call has just been told
 * something while there was one. */
static void check_message(const watched_call *watched, bool has_token) {
    const char *message = watched->call.fault.message;
    if (watched->call.fault.kind == KS_FAULT_NONE)
        return;
    CHECK(memchr(message, '\0', KS_FAULT_MESSAGE_MAX) != NULL);
    CHECK(strstr(message, API_KEY) == NULL);
    CHECK(!has_token || strstr(message, TOKEN) == NULL);
    CHECK(strchr(message, '\n') == NULL);
}

/* One that ended in time is told in vain what came of its request later. */
static bool listens(const watched_call *watched) {
    return watched->call.state != KS_STATE_DONE;
}

static bool holds_token(const world *w) {
    return same_bytes(span_of(&w->client->token.value), (ks_span){TOKEN, sizeof TOKEN - 1});
}

static void check_done(const watched_call *watched) {
    const ks_call *call = &watched->call;
    CHECK(call->state == KS_STATE_DONE);
    CHECK(call->attempts == watched->sends);
    CHECK(call->succeeded == (call->fault.kind == KS_FAULT_NONE));
    if (call->succeeded) {
        CHECK(watched->sends > 0);
        return;
    }
    if (watched->write && watched->may_be_done)
        CHECK(call->fault.outcome == KS_OUTCOME_UNKNOWN);
    if (watched->sends == 0)
        CHECK(call->fault.outcome != KS_OUTCOME_UNKNOWN || !watched->write);
}

/* Requests ------------------------------------------------------------------------------------ */

static ks_span header(const ks_request *send, const char *name) {
    for (size_t i = 0; i < send->header_count; i++) {
        if (same_bytes(send->headers[i].name, (ks_span){name, strlen(name)}))
            return send->headers[i].value;
    }
    return (ks_span){0};
}

static int64_t stamp_of(const ks_request *send) {
    ks_span text = header(send, "Timestamp");
    int64_t stamp = 0;
    CHECK(text.size == 13);
    for (size_t i = 0; i < text.size; i++) {
        CHECK(text.data[i] >= '0' && text.data[i] <= '9');
        stamp = stamp * 10 + (text.data[i] - '0');
    }
    return stamp;
}

/* Never in the server's future, as far as that is known. */
static void check_stamp(const world *w, const ks_request *send) {
    int64_t earliest, latest;
    if (ks_clock_bounds(&w->client->clock, w->now, &earliest, &latest) && earliest >= 0)
        CHECK(stamp_of(send) <= (latest > 0 ? latest : 0));
}

static void check_send(const world *w, watched_call *watched, const ks_request *send) {
    CHECK(send->header_count <= KS_CALL_HEADERS_MAX);
    CHECK(w->now.monotonic < watched->deadline);
    CHECK(send->timeout_ms > 0 && send->timeout_ms <= watched->deadline - w->now.monotonic);
    check_stamp(w, send);
    watched->in_flight = true;
    watched->for_token = same_bytes(send->url, TOKEN_URL);
    if (watched->for_token) {
        CHECK(++watched->token_sends <= SENDS_MAX);
        return;
    }
    CHECK(!(watched->write && watched->may_be_done)); /* the one that matters most */
    CHECK(++watched->sends <= KS_RETRY_ATTEMPTS_MAX + REPLAYS);
}

/* What comes back ----------------------------------------------------------------------------- */

static const char *const BODIES[] = {
    "{\"code\":0,\"data\":{\"access_token\":\"token-0123456789\",\"expired_time\":1790000900000}}",
    "{\"code\":0,\"msg\":\"Success\",\"data\":{\"result\":true}}",
    "{\"code\":1001,\"msg\":\"system error of token-0123456789 key-0123456789\"}",
    "{\"code\":1005,\"msg\":\"timestamp\"}",
    "{\"code\":1006,\"msg\":\"token missing\"}",
    "{\"code\":1007,\"msg\":\"token\\nkey-0123456789\"}",
    "{\"code\":1009,\"msg\":\"too frequent\"}",
    "{\"code\":2002,\"msg\":\"no such cardholder\",\"data\":null}",
    "<html>502</html>",
    "{\"code\":0,\"data\":{\"access_token\":\"token-0123456789\",\"expired_time\":9}}",
};
enum { BODY_COUNT = sizeof BODIES / sizeof *BODIES };

static const char *const DATES[] = {
    "",
    "Mon, 21 Sep 2026 13:33:20 GMT",
    "Mon, 21 Sep 2026 13:33:50 GMT",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 21 Sep 2026",
};
enum { DATE_COUNT = sizeof DATES / sizeof *DATES };

static const char *const PAUSES[] = {
    "", "0", "1", "7", "999999999", "Mon, 21 Sep 2026 13:33:25 GMT", "soon"};
enum { PAUSE_COUNT = sizeof PAUSES / sizeof *PAUSES };

static const int STATUSES[] = {200, 200, 200, 500, 502, 503, 401, 429, 204, 0};
enum { STATUS_COUNT = sizeof STATUSES / sizeof *STATUSES };

static ks_span text_of(const char *text) {
    return (ks_span){text, strlen(text)};
}

/* One of some, or bytes of the input. A copy of its own, so that reading past its end is seen. */
static char *draw(source *input, const char *const *texts, size_t count, ks_span *drawn) {
    size_t choice = take_byte(input);
    ks_span text = choice < count ? text_of(texts[choice])
                   : choice < 128 ? text_of(texts[choice % count])
                                  : take_span(input, take_byte(input) % BODY_MAX);
    char *copy = malloc(text.size + (text.size == 0));
    CHECK(copy != NULL);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    *drawn = (ks_span){copy, text.size};
    return copy;
}

/* Whether an answer says for certain that nothing was done. */
static bool is_clear_refusal(ks_span body) {
    ks_json_envelope envelope;
    return ks_json_envelope_read(body.data, body.size, &envelope, NULL) && envelope.code != 0 &&
           envelope.code != 1001;
}

static void answer(world *w, watched_call *watched) {
    ks_answer answer = {.status = STATUSES[take_byte(&w->input) % STATUS_COUNT]};
    char *body = draw(&w->input, BODIES, BODY_COUNT, &answer.body);
    char *date = draw(&w->input, DATES, DATE_COUNT, &answer.date);
    char *pause = draw(&w->input, PAUSES, PAUSE_COUNT, &answer.retry_after);
    if (!watched->for_token && !is_clear_refusal(answer.body))
        watched->may_be_done = true;
    watched->in_flight = false;
    bool has_token = holds_token(w) && listens(watched);
    ks_call_answered(&watched->call, w->now, &answer);
    check_message(watched, has_token);
    free(w->body);
    w->body = body;
    free(date);
    free(pause);
}

static void fail(world *w, watched_call *watched) {
    char text[] = "broken by token-0123456789";
    ks_failure failure = {
        .loss = (ks_loss)(take_byte(&w->input) % (KS_LOSS_CANCELLED + 1)),
        .reached = (ks_reached)(take_byte(&w->input) % (KS_REACHED_UNSAID + 1)),
        .message = {text, sizeof text - 1},
    };
    if (!watched->for_token && failure.reached > KS_REACHED_SECURED)
        watched->may_be_done = true;
    watched->in_flight = false;
    bool has_token = holds_token(w) && listens(watched);
    ks_call_failed(&watched->call, w->now, &failure);
    check_message(watched, has_token);
}

/* Sharing the token --------------------------------------------------------------------------- */

static void draw_common(world *w, ks_common_time *common) {
    common->known = take_byte(&w->input) % 2 == 1;
    common->at = w->now.monotonic + (int8_t)take_byte(&w->input);
    common->epoch = text_of("boot-1");
    common->before = w->now.monotonic;
}

static void seek(world *w, watched_call *watched) {
    ks_common_time common;
    ks_span text;
    draw_common(w, &common);
    char *copy = draw(&w->input, BODIES, BODY_COUNT, &text);
    switch (take_byte(&w->input) % 4) {
    case 0:
        CHECK(!ks_sharing_adopt(&watched->call, w->now, &common, text)); /* nobody sealed that */
        break;
    case 1:
        CHECK(!ks_sharing_told(&watched->call, w->now, text));
        break;
    case 2:
        ks_sharing_stand_back(&watched->call, w->now);
        break;
    default:
        ks_sharing_elected(&watched->call);
    }
    free(copy);
}

static void share(world *w, watched_call *watched) {
    ks_common_time common;
    int64_t lasts;
    ks_text text;
    draw_common(w, &common);
    ks_text_init(&text, KS_SEAL_TEXT_MAX, KS_TEXT_PLAIN);
    if (ks_sharing_record(&watched->call, w->now, &common, &text, &lasts) != KS_SHARING_NOTHING)
        CHECK(text.size > 0 && !text.failed);
    ks_text_cleanup(&text);
    ks_sharing_shared(&watched->call);
}

/* Records as others may have written them, had they the key. */
static void check_records(ks_span text) {
    ks_shared_token token;
    ks_sight sight;
    ks_fault fault;
    if (ks_record_read_token(text, &token, &sight)) {
        CHECK(lies_inside(token.value, text));
        CHECK(!sight.known || lies_inside(sight.epoch, text));
    }
    if (ks_record_read_failure(text, &fault))
        CHECK(memchr(fault.message, '\0', sizeof fault.message) != NULL);
}

/* Steps --------------------------------------------------------------------------------------- */

static void begin(world *w, watched_call *watched) {
    uint8_t kind = take_byte(&w->input);
    ks_call_options options = {
        .method = {"POST", 4},
        .path = {"/card/apply", 11},
        .body = {"{}", 2},
        .auth = kind % 4 == 0 ? KS_AUTH_NONE : KS_AUTH_TOKEN,
        .write = kind % 8 < 6,
        .settles = kind % 16 < 4,
        .timeout = take_number(&w->input) % 40000,
    };
    memset(watched, 0, sizeof *watched);
    watched->write = options.write;
    watched->deadline = w->now.monotonic + options.timeout;
    CHECK(ks_call_init(&watched->call, w->client, &options, w->now));
    watched->begun = true;
}

static void end(watched_call *watched) {
    if (watched->begun && watched->call.state == KS_STATE_DONE)
        check_done(watched);
    ks_call_cleanup(&watched->call);
    watched->begun = false;
}

static void go_on(world *w, watched_call *watched) {
    ks_step step;
    bool late = w->now.monotonic >= watched->deadline;
    if (late && watched->in_flight && !watched->for_token)
        watched->may_be_done = true;
    ks_call_action action = ks_call_next(&watched->call, w->now, &step);
    CHECK(!late || action == KS_CALL_DONE || action == KS_CALL_SHARE);
    switch (action) {
    case KS_CALL_SEND:
        CHECK(!watched->in_flight);
        check_send(w, watched, &watched->call.request);
        break;
    case KS_CALL_WAIT:
        CHECK(step.until > w->now.monotonic && step.until <= watched->deadline);
        if (take_byte(&w->input) % 2 == 0)
            w->now.monotonic = step.until;
        break;
    case KS_CALL_SEEK:
        seek(w, watched);
        break;
    case KS_CALL_SHARE:
        share(w, watched);
        break;
    case KS_CALL_DONE:
        end(watched);
        break;
    }
}

static void take_step(world *w) {
    watched_call *watched = &w->calls[take_byte(&w->input) % CALLS];
    uint8_t what = take_byte(&w->input);
    if (!watched->begun)
        begin(w, watched);
    else if (watched->in_flight && what % 4 == 0)
        fail(w, watched);
    else if (watched->in_flight && what % 4 < 3)
        answer(w, watched);
    else if (what % 64 == 63)
        end(watched); /* the caller lost interest */
    else
        go_on(w, watched);
    uint8_t passing = take_byte(&w->input); /* milliseconds; the wall clock may be set back */
    w->now.monotonic += passing % 4 == 0 ? passing * 100 : passing;
    w->now.wall += passing % 8 == 7 ? -10000 : passing;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    world w = {.now = {1000, INT64_C(1790000000000)}, .input = {data, size}};
    ks_client_options options = {
        .address = ADDRESS,
        .api_key = text_of(API_KEY),
        .language = {"en_US", 5},
        .seed = 7,
    };
    check_records((ks_span){(const char *)data, size});
    if (take_byte(&w.input) % 4 == 0)
        options.secret = text_of("0123456789abcdef");
    w.client = ks_client_new(&options);
    CHECK(w.client != NULL);
    for (int i = 0; i < STEPS_MAX && w.input.size > 0; i++)
        take_step(&w);
    for (int i = 0; i < CALLS; i++)
        end(&w.calls[i]);
    CHECK(w.client->references == 1);
    ks_client_release(w.client);
    free(w.body);
    CHECK(ERR_peek_error() == 0);
    return 0;
}
