#include "core/call.h"

#include "core/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The platform's codes that say more than no [P]. */
enum {
    CODE_SUCCESS = 0,
    CODE_SYSTEM_ERROR = 1001,
    CODE_TIMESTAMP = 1005,
    CODE_TOKEN_MISSING = 1006,
    CODE_TOKEN_INVALID = 1007,
    CODE_TOO_FREQUENT = 1009
};

/* Starting and ending ------------------------------------------------------------------------ */

static size_t total_size(const ks_client *client, const ks_call_options *options) {
    return options->method.size + client->address.size + options->path.size + options->body.size +
           options->timezone.size + options->extra.name.size + options->extra.value.size;
}

/* The block was given room for everything, so that a span stays where it is. */
static ks_span copy(ks_text *block, ks_span span) {
    ks_span copied = {block->data + block->size, span.size};
    ks_text_append_span(block, span);
    return copied;
}

bool ks_call_init(ks_call *call, ks_client *client, const ks_call_options *options, ks_now now) {
    *call = (ks_call){0};
    ks_text_init(&call->block, KS_CALL_REQUEST_MAX, KS_TEXT_SECRET);
    if (!ks_text_reserve(&call->block, total_size(client, options) + 1))
        return false;
    call->method = copy(&call->block, options->method);
    call->url = copy(&call->block, (ks_span){client->address.data, client->address.size});
    call->url.size += copy(&call->block, options->path).size;
    call->body = copy(&call->block, options->body);
    call->timezone = copy(&call->block, options->timezone);
    call->extra.name = copy(&call->block, options->extra.name);
    call->extra.value = copy(&call->block, options->extra.value);
    call->auth = options->auth;
    call->write = options->write;
    call->settles = options->settles;
    call->deadline = now.monotonic + options->timeout;
    call->standing = KS_OUTCOME_NOT_SENT;
    call->client = ks_client_acquire(client);
    return true;
}

static void give_up_fetch(ks_call *call) {
    if (call->fetching)
        ks_token_abandon(&call->client->token, call->ticket);
    call->fetching = false;
    call->seeking = false;
}

void ks_call_cleanup(ks_call *call) {
    if (call->client == NULL)
        return;
    give_up_fetch(call);
    ks_text_cleanup(&call->block);
    call->request = (ks_request){0};
    ks_client_release(call->client);
    call->client = NULL;
}

/* Faults -------------------------------------------------------------------------------------- */

static void set_fault(ks_call *call, ks_fault_kind kind, ks_outcome outcome, const char *message) {
    call->fault = (ks_fault){.kind = kind, .outcome = outcome, .http_status = call->http_status};
    snprintf(call->fault.message, sizeof call->fault.message, "%s", message);
}

static void hide(char *message, const ks_text *secret) {
    size_t length = strlen(message);
    if (secret->size == 0 || secret->size > length)
        return;
    for (size_t i = 0; i + secret->size <= length; i++) {
        if (memcmp(message + i, secret->data, secret->size) == 0)
            memset(message + i, '*', secret->size);
    }
}

/* No secret of ours goes past one of these, nor past a letter that is not ASCII. */
static bool is_break(char c) {
    return c == ' ' || c == '"' || c == ',' || c == ';' || c == '\n' || (unsigned char)c >= 0x80;
}

static bool is_inside_character(char c) {
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Where to cut a text that is too long: behind a word, since half of a secret would not be known
 * for one, and between characters. Of a single endless word nothing stays. */
static size_t cut_at(const char *text) {
    size_t length = KS_FAULT_MESSAGE_MAX - 1;
    while (length > 0 && (is_inside_character(text[length]) || !is_break(text[length - 1])))
        length--;
    return length;
}

/* Somebody else's words: bounded, on one line, without our secrets. */
static void set_foreign_message(ks_call *call, const char *text, size_t size) {
    char *message = call->fault.message;
    size_t length = size < KS_FAULT_MESSAGE_MAX ? size : cut_at(text);
    for (size_t i = 0; i < length; i++)
        message[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7F ? ' ' : text[i];
    message[length] = '\0';
    hide(message, &call->client->api_key);
    hide(message, &call->client->token.value);
}

static void finish(ks_call *call) {
    give_up_fetch(call);
    call->state = KS_STATE_DONE;
    call->succeeded = call->fault.kind == KS_FAULT_NONE;
}

/* Time ran out before there was an answer; an earlier refusal says more than that. */
static void finish_late(ks_call *call, const char *message) {
    if (call->fault.kind == KS_FAULT_NONE)
        set_fault(call, KS_FAULT_TIMEOUT, call->standing, message);
    call->fault.outcome = call->standing; /* that of a request for a token is none of the call's */
    finish(call);
}

/* Sending ------------------------------------------------------------------------------------- */

static ks_span span_of(const ks_text *text) {
    return (ks_span){text->data, text->size};
}

static void add_header(ks_call *call, const char *name, ks_span value) {
    ks_header *header = &call->headers[call->request.header_count++];
    header->name = (ks_span){name, strlen(name)};
    header->value = value;
}

static void begin_send(ks_call *call, ks_now now, int64_t stamp) {
    ks_client *client = call->client;
    int length = snprintf(call->stamp, sizeof call->stamp, "%013" PRId64, stamp);
    call->sent_at = now.monotonic;
    call->request =
        (ks_request){.headers = call->headers, .timeout_ms = call->deadline - now.monotonic};
    add_header(call, "Timestamp", (ks_span){call->stamp, (size_t)length});
    add_header(call, "Content-Type", (ks_span){"application/json", 16});
    if (call->auth != KS_AUTH_NONE)
        add_header(call, "Api-Key", span_of(&client->api_key));
    if (client->language.size > 0)
        add_header(call, "Language", span_of(&client->language));
}

/* Whether the call could go on with the token that is here: it fetches the next one early. */
static bool has_token(const ks_call *call, ks_now now) {
    return ks_token_good(&call->client->token, &call->client->clock, now);
}

static void send_token_request(ks_call *call, ks_now now) {
    begin_send(call, now, ks_clock_stamp(&call->client->clock, now));
    if (has_token(call, now)) /* most of the time is for the operation */
        call->request.timeout_ms -= call->request.timeout_ms / 3 * 2;
    call->request.method = (ks_span){"GET", 3};
    call->request.url = span_of(&call->client->token_url);
    call->token_attempts++;
    call->state = KS_STATE_SENT_TOKEN;
}

static int64_t stamp_operation(ks_call *call, ks_now now) {
    const ks_client *client = call->client;
    call->expiring = call->settles && !client->keep_young && !call->clock_replayed;
    call->stamped = call->expiring ? ks_clock_stamp_expiring(&client->clock, now, KS_CALL_LIFE)
                                   : ks_clock_stamp(&client->clock, now);
    return call->stamped;
}

static void send_operation(ks_call *call, ks_now now) {
    begin_send(call, now, stamp_operation(call, now));
    if (call->settles)
        call->request.timeout_ms -= call->request.timeout_ms / 3;
    call->request.method = call->method;
    call->request.url = call->url;
    if (call->body.size > 0)
        call->request.body = call->body;
    if (call->auth == KS_AUTH_TOKEN) {
        add_header(call, "Access-Token", span_of(&call->client->token.value));
        call->generation = call->client->token.generation;
    }
    if (call->timezone.size > 0)
        add_header(call, "Timezone", call->timezone);
    if (call->extra.name.size > 0)
        call->headers[call->request.header_count++] = call->extra;
    call->attempts++;
    call->state = KS_STATE_SENT;
}

static ks_call_action go_on_fetching(ks_call *call, ks_now now) {
    if (call->seeking)
        return KS_CALL_SEEK;
    send_token_request(call, now);
    return KS_CALL_SEND;
}

/* The token is at hand: sends. Else says what to wait for, or ends the call. */
static ks_call_action send_with_token(ks_call *call, ks_now now, ks_step *step) {
    ks_token *token = &call->client->token;
    if (call->fetching) /* a fetch that paused before its next attempt */
        return go_on_fetching(call, now);
    bool own = call->fetched && token->usable;
    switch (own ? KS_TOKEN_USE : ks_token_ask(token, &call->client->clock, now, call->deadline)) {
    case KS_TOKEN_USE:
        send_operation(call, now);
        return KS_CALL_SEND;
    case KS_TOKEN_FETCH:
        call->fetching = true;
        call->ticket = token->ticket;
        call->token_attempts = 0;
        call->seeking = call->client->shares;
        return go_on_fetching(call, now);
    case KS_TOKEN_WAIT:
        step->until = token->fetch_until < call->deadline ? token->fetch_until : call->deadline;
        step->wait_for_token = true;
        return KS_CALL_WAIT;
    case KS_TOKEN_FAILED:
        break;
    }
    call->fault = token->failure;
    call->fault.outcome = call->standing;
    finish(call);
    return KS_CALL_DONE;
}

ks_call_action ks_call_next(ks_call *call, ks_now now, ks_step *step) {
    if (call->elected && !call->fetching)
        return KS_CALL_SHARE;
    if (call->state == KS_STATE_DONE)
        return KS_CALL_DONE;
    step->wait_for_token = false;
    if (now.monotonic >= call->deadline) {
        bool in_flight = call->state == KS_STATE_SENT;
        if (in_flight) { /* whatever was answered to an earlier attempt */
            call->standing = KS_OUTCOME_UNKNOWN;
            call->fault.kind = KS_FAULT_NONE;
        }
        finish_late(call, in_flight ? "no answer in time" : "not sent in time");
        return call->elected ? KS_CALL_SHARE : KS_CALL_DONE;
    }
    if (call->state == KS_STATE_SENT || call->state == KS_STATE_SENT_TOKEN) {
        step->until = call->deadline; /* nobody has told yet what came of it */
        return KS_CALL_WAIT;
    }
    if (call->state == KS_STATE_PAUSED && now.monotonic < call->paused_until) {
        step->until = call->paused_until;
        return KS_CALL_WAIT;
    }
    call->state = KS_STATE_READY;
    if (call->auth == KS_AUTH_TOKEN)
        return send_with_token(call, now, step);
    send_operation(call, now);
    return KS_CALL_SEND;
}

/* Judging what came back ------------------------------------------------------------------------
 */

static bool at_token(const ks_call *call) {
    return call->state == KS_STATE_SENT_TOKEN;
}

/* The fault is the last request's; its message stays with the call. */
static void note_attempt(ks_call *call, ks_now now) {
    call->last = (ks_attempt){
        .token = at_token(call),
        .number = at_token(call) ? call->token_attempts : call->attempts,
        .kind = call->fault.kind,
        .outcome = call->fault.outcome,
        .code = call->fault.code,
        .http_status = call->http_status,
        .milliseconds = now.monotonic - call->sent_at,
    };
}

/* Whether it was this call's own time that ended the fetch: no word on what another's would do. */
static bool ran_out_of_time(const ks_call *call, ks_now now) {
    return call->fault.kind == KS_FAULT_TIMEOUT && call->deadline - now.monotonic <= 1;
}

/* The fault stands. A failed fetch is told to those who wait for it; where the old token still
 * serves, this call goes on with it as well. */
static void end_attempts(ks_call *call, ks_now now) {
    if (at_token(call)) {
        ks_token *token = &call->client->token;
        if (ran_out_of_time(call, now))
            give_up_fetch(call);
        else
            ks_token_fail(token, call->ticket, now, &call->fault);
        call->fetching = false;
        if (has_token(call, now)) {
            call->fault.kind = KS_FAULT_NONE;
            call->state = KS_STATE_READY;
            return;
        }
        call->fault.outcome = call->standing;
    }
    finish(call);
}

/* Pauses for another attempt, if the budget and the time that is left allow one. An early refresh
 * is left for another call to try: this one has a token. */
static void try_again(ks_call *call, ks_now now, int32_t cost, int64_t least_pause) {
    ks_retry *retry = call->client->retry;
    int attempts = at_token(call) ? call->token_attempts : call->attempts;
    bool early = at_token(call) && has_token(call, now);
    if (early || attempts >= KS_RETRY_ATTEMPTS_MAX) {
        end_attempts(call, now);
        return;
    }
    int64_t pause = ks_retry_pause(retry, attempts);
    if (pause < least_pause)
        pause = least_pause;
    if (pause >= call->deadline - now.monotonic || !ks_retry_spend(retry, cost)) {
        end_attempts(call, now);
        return;
    }
    call->spent = cost;
    call->waited += pause;
    call->paused_until = now.monotonic + pause;
    call->state = KS_STATE_PAUSED;
}

/* A refusal that another attempt at once repairs, once per call. */
static bool replay(ks_call *call, bool *replayed) {
    if (*replayed)
        return false;
    *replayed = true;
    call->state = KS_STATE_READY;
    return true;
}

/* `Retry-After` in ms from now, as seconds or as a date (RFC 9110); 0 where there is none. */
static int64_t retry_after(const ks_call *call, ks_now now, ks_span text) {
    int64_t date, seconds = 0;
    if (ks_clock_parse_date(text.data, text.size, &date)) {
        int64_t left = date - ks_clock_latest(&call->client->clock, now);
        return left > 0 ? left : 0;
    }
    if (text.size == 0 || text.size > 9)
        return 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return 0;
        seconds = seconds * 10 + (text.data[i] - '0');
    }
    return seconds * 1000;
}

/* A date at which no Timestamp has 13 digits (before 2001, after 2286) is no clock's. */
static bool is_possible(int64_t date) {
    return date >= INT64_C(1000000000000) && date < INT64_C(10000000000000);
}

static bool learn_clock(ks_call *call, ks_now now, ks_span header) {
    int64_t date;
    if (!ks_clock_parse_date(header.data, header.size, &date) || !is_possible(date))
        return false;
    ks_clock_learn(&call->client->clock, call->sent_at, now.monotonic, date);
    return true;
}

static void take_refusal(ks_call *call, ks_now now, const ks_answer *answer, int32_t code) {
    bool sent = call->state == KS_STATE_SENT;
    bool doubtful = code == CODE_SYSTEM_ERROR && call->write && sent;
    ks_outcome outcome = doubtful ? KS_OUTCOME_UNKNOWN : KS_OUTCOME_REFUSED;
    if (sent)
        call->standing = outcome;
    call->fault.kind = KS_FAULT_API;
    call->fault.code = code;
    call->fault.outcome = outcome;
    call->fault.http_status = answer->status;
    note_attempt(call, now);
    switch (code) {
    case CODE_TIMESTAMP:
        if (sent && call->expiring && call->last.milliseconds < KS_CALL_LIFE / 2)
            call->client->keep_young = true;
        ks_clock_distrust(&call->client->clock);
        if (learn_clock(call, now, answer->date) && replay(call, &call->clock_replayed))
            return;
        break;
    case CODE_TOKEN_MISSING:
    case CODE_TOKEN_INVALID:
        if (call->auth == KS_AUTH_TOKEN && sent) {
            ks_token_distrust(&call->client->token, call->generation);
            call->fetched = false;
            if (replay(call, &call->token_replayed))
                return;
        }
        break;
    case CODE_SYSTEM_ERROR:
        if (!doubtful) {
            try_again(call, now, KS_RETRY_COST, retry_after(call, now, answer->retry_after));
            return;
        }
        break;
    case CODE_TOO_FREQUENT:
        try_again(call, now, KS_RETRY_COST, retry_after(call, now, answer->retry_after));
        return;
    default:
        break;
    }
    end_attempts(call, now);
}

/* An answer that isn't the platform's: a proxy's page, half a text, nothing at all. */
static void take_nonsense(ks_call *call, ks_now now, const ks_answer *answer, const char *reason) {
    bool lost_write = call->write && call->state == KS_STATE_SENT;
    if (call->state == KS_STATE_SENT)
        call->standing = KS_OUTCOME_UNKNOWN;
    set_fault(call, KS_FAULT_PROTOCOL, KS_OUTCOME_UNKNOWN, "");
    call->fault.http_status = answer->status;
    snprintf(call->fault.message, sizeof call->fault.message,
             "HTTP status %d and an answer that is not the platform's: %s", answer->status, reason);
    note_attempt(call, now);
    bool passing = answer->status >= 500 || answer->status == 429;
    if (passing && !lost_write)
        try_again(call, now, KS_RETRY_COST, retry_after(call, now, answer->retry_after));
    else
        end_attempts(call, now);
}

static void set_platform_message(ks_call *call, ks_json_value msg) {
    ks_text text;
    ks_text_init(&text, KS_JSON_SIZE_MAX, KS_TEXT_SECRET);
    bool known = msg.type == KS_JSON_STRING && ks_json_unescape(msg.lexeme, &text) && text.size > 0;
    if (known)
        set_foreign_message(call, text.data, text.size);
    else
        set_foreign_message(call, "no message", 10);
    ks_text_cleanup(&text);
}

/* A plain whole number of Unix milliseconds. */
static bool read_time(ks_json_value value, int64_t *time) {
    if (value.type != KS_JSON_NUMBER || value.lexeme.size > 15)
        return false;
    *time = 0;
    for (size_t i = 0; i < value.lexeme.size; i++) {
        char c = value.lexeme.data[i];
        if (c < '0' || c > '9')
            return false;
        *time = *time * 10 + (c - '0');
    }
    return true;
}

static bool store_token(ks_call *call, ks_now now, ks_json_value string, int64_t expires) {
    ks_text text;
    ks_text_init(&text, KS_TOKEN_SIZE_MAX, KS_TEXT_SECRET);
    bool good = ks_json_unescape(string.lexeme, &text) && text.size > 0;
    for (size_t i = 0; good && i < text.size; i++) /* it goes into a header */
        good = text.data[i] > 0x20 && text.data[i] < 0x7F;
    ks_client *client = call->client;
    good = good && ks_token_store(&client->token, &client->clock, now, span_of(&text), expires);
    ks_text_cleanup(&text);
    return good;
}

static const char *take_token(ks_call *call, ks_now now, ks_span data) {
    ks_json_value key, value, token = {0}, expiry = {0};
    ks_json_members walk;
    int64_t expires;
    ks_json_members_start(&walk, data.data, data.size);
    while (ks_json_members_next(&walk, &key, &value) == KS_JSON_MEMBER) {
        if (ks_json_string_is(key, "access_token", 12))
            token = value;
        else if (ks_json_string_is(key, "expired_time", 12))
            expiry = value;
    }
    if (token.type != KS_JSON_STRING || !read_time(expiry, &expires))
        return "data lacks access_token or expired_time";
    if (!store_token(call, now, token, expires))
        return "access_token is empty, too long or not printable";
    return NULL;
}

static void take_success(ks_call *call, ks_now now, const ks_answer *answer, ks_json_value data) {
    ks_span json = data.type > KS_JSON_NULL ? data.lexeme : (ks_span){0};
    if (at_token(call)) {
        const char *wrong = take_token(call, now, json);
        if (wrong != NULL) {
            take_nonsense(call, now, answer, wrong);
            return;
        }
        call->fault = (ks_fault){0};
        note_attempt(call, now);
        call->fetching = false;
        call->fetched = true;
        call->state = KS_STATE_READY;
        return;
    }
    ks_retry_earn(call->client->retry, call->attempts == 1 ? KS_RETRY_REWARD : call->spent);
    call->fault = (ks_fault){0};
    note_attempt(call, now);
    call->data = json;
    finish(call);
}

static bool awaits_answer(const ks_call *call) {
    return call->state == KS_STATE_SENT || call->state == KS_STATE_SENT_TOKEN;
}

void ks_call_answered(ks_call *call, ks_now now, const ks_answer *answer) {
    ks_json_envelope envelope;
    ks_json_fault fault;
    if (!awaits_answer(call))
        return;
    call->request = (ks_request){0};
    call->http_status = answer->status;
    learn_clock(call, now, answer->date);
    if (!ks_json_envelope_read(answer->body.data, answer->body.size, &envelope, &fault)) {
        take_nonsense(call, now, answer, fault.reason);
    } else if (envelope.code == CODE_SUCCESS) {
        take_success(call, now, answer, envelope.data);
    } else {
        set_platform_message(call, envelope.msg);
        take_refusal(call, now, answer, envelope.code);
    }
}

static ks_fault_kind kind_of(ks_loss loss) {
    switch (loss) {
    case KS_LOSS_TIMEOUT:
        return KS_FAULT_TIMEOUT;
    case KS_LOSS_GARBLED:
        return KS_FAULT_PROTOCOL;
    case KS_LOSS_CANCELLED:
        return KS_FAULT_CANCELLED;
    case KS_LOSS_PASSING:
    case KS_LOSS_LASTING:
        break;
    }
    return KS_FAULT_TRANSPORT;
}

void ks_call_failed(ks_call *call, ks_now now, const ks_failure *failure) {
    if (!awaits_answer(call))
        return;
    call->request = (ks_request){0};
    ks_outcome outcome = ks_outcome_of(failure->reached);
    bool safe = outcome == KS_OUTCOME_NOT_SENT;
    if (call->state == KS_STATE_SENT)
        call->standing = outcome;
    call->http_status = 0;
    ks_fault_kind kind = kind_of(failure->loss);
    set_fault(call, kind, outcome, "");
    set_foreign_message(call, failure->message.data, failure->message.size);
    note_attempt(call, now);
    bool passing = failure->loss != KS_LOSS_LASTING && failure->loss != KS_LOSS_CANCELLED;
    if (passing && (safe || !call->write || at_token(call)))
        try_again(call, now, kind == KS_FAULT_TIMEOUT ? KS_RETRY_COST_TIMEOUT : KS_RETRY_COST, 0);
    else
        end_attempts(call, now);
}

void ks_call_cancel(ks_call *call) {
    if (call->state == KS_STATE_DONE)
        return;
    if (call->state == KS_STATE_SENT)
        call->standing = KS_OUTCOME_UNKNOWN;
    set_fault(call, KS_FAULT_CANCELLED, call->standing, "the client was closed");
    finish(call);
}
