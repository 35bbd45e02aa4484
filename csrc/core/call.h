/* The life of one call: what to send next, and what an answer means.
 *
 * A call performs no input or output. Asked what to do (`next`), it says: send this, wait until
 * then, or done. It is told what came back (`answered`) or how sending failed (`failed`), and asked
 * again. The access token, the clock, refusals that pass, retries and the total deadline are all
 * inside; time comes in as an argument.
 *
 *     while ((action = ks_call_next(&call, now, &step)) != KS_CALL_DONE) {
 *         if (action == KS_CALL_SEND) … call.request … ks_call_answered(…) or ks_call_failed(…)
 *         else … wait until step.until, or sooner if another call of this client moved …
 *     }
 *
 * Where the token is shared with other processes there are two more actions, which read and write
 * the place where they leave it; see csrc/core/sharing.h.
 */
#ifndef KS_CALL_H
#define KS_CALL_H

#include "core/client.h"
#include "core/fault.h"

enum {
    KS_CALL_HEADERS_MAX = 8,
    KS_CALL_REQUEST_MAX = 1024 * 1024 /* bytes of method, URL, headers and body together */
};

typedef enum ks_call_auth {
    KS_AUTH_NONE, /* neither Api-Key nor Access-Token: the simulations */
    KS_AUTH_KEY,  /* Api-Key alone: the token operation */
    KS_AUTH_TOKEN
} ks_call_auth;

/* What to call. Spans may be empty; all are copied. */
typedef struct ks_call_options {
    ks_span method;
    ks_span path; /* follows the client's address; starts with a slash */
    ks_span body;
    ks_span timezone; /* of lists */
    ks_header extra;  /* one more header */
    ks_call_auth auth;
    bool write;      /* it changes something: never repeated unless provably not done */
    bool settles;    /* a write that will be looked up where its answer is lost: see below */
    int64_t timeout; /* ms for everything: attempts, pauses, the token */
} ks_call_options;

/* A write that is going to be looked up leaves time for that: an attempt gets two thirds of what is
 * left. And it makes sure that its fate is soon decided: it carries a Timestamp near the end of its
 * time, so that a request which lingers on the way is refused by the platform instead of being
 * carried out when nobody expects it any more. Where the platform refuses such a Timestamp at once,
 * this client stops doing so. */
enum { KS_CALL_LIFE = 12000 }; /* ms that such a request has to arrive */

typedef enum ks_call_action {
    KS_CALL_SEND,
    KS_CALL_WAIT,
    KS_CALL_SEEK,  /* a token is wanted: another process may have it */
    KS_CALL_SHARE, /* a token was fetched, or was not: others wait to hear of it */
    KS_CALL_DONE
} ks_call_action;

typedef struct ks_step {
    int64_t until;       /* of WAIT, monotonic */
    bool wait_for_token; /* of WAIT: ask again as soon as another call has ended a step */
} ks_step;

typedef struct ks_answer {
    int status;
    ks_span body;
    ks_span date;        /* the header's value, or nothing */
    ks_span retry_after; /* likewise */
} ks_answer;

typedef enum ks_loss {
    KS_LOSS_PASSING, /* a network's fault: another attempt may do better */
    KS_LOSS_TIMEOUT,
    KS_LOSS_GARBLED, /* what came back was no HTTP */
    KS_LOSS_LASTING, /* such as a certificate that can't be trusted: don't try again */
    KS_LOSS_CANCELLED
} ks_loss;

typedef struct ks_failure {
    ks_loss loss;
    ks_reached reached;
    ks_span message;
} ks_failure;

typedef enum ks_call_state {
    KS_STATE_READY,
    KS_STATE_SENT_TOKEN,
    KS_STATE_SENT,
    KS_STATE_PAUSED,
    KS_STATE_DONE
} ks_call_state;

/* What came of one request. */
typedef struct ks_attempt {
    bool token; /* it was for a token, on behalf of the operation */
    int number; /* from 1: of the operation's requests, or of the token fetch's */
    ks_fault_kind kind;
    ks_outcome outcome; /* where it failed */
    int32_t code;
    int http_status;
    int64_t milliseconds;
} ks_attempt;

/* Read what stands before `block`; the rest is private. */
typedef struct ks_call {
    ks_request request; /* of SEND, and first, for the sake of wire.h; to be taken at once */
    ks_client *client;
    ks_call_state state;
    bool succeeded;
    ks_span data; /* JSON of the answer's data; points into the body given to `answered` */
    ks_fault fault;
    int attempts;    /* requests of the operation; those for a token don't count */
    int64_t waited;  /* ms of pauses before attempts */
    int64_t stamped; /* the Timestamp of the operation's last request */
    ks_attempt last; /* request, of the operation or for its token */
    int http_status;

    ks_header headers[KS_CALL_HEADERS_MAX]; /* of the request */
    ks_text block;                          /* the copies behind the spans */
    ks_span method;
    ks_span url;
    ks_span body;
    ks_span timezone;
    ks_header extra;
    ks_call_auth auth;
    bool write;
    bool settles;
    bool expiring; /* the last request's Timestamp was near its end */
    int64_t deadline;
    char stamp[24];
    int64_t sent_at;
    int64_t paused_until;
    ks_outcome standing; /* what the operation's attempts so far amount to */
    uint32_t ticket;     /* of the token fetch that this call is at */
    uint32_t generation; /* of the token that was sent */
    bool fetching;
    bool seeking; /* of a fetch: it hasn't begun, since another process may be at it */
    bool elected; /* of a fetch: others wait to hear how it ended */
    bool fetched; /* this call's own fetch succeeded: use that token as it is */
    bool clock_replayed;
    bool token_replayed;
    int token_attempts;
    int32_t spent; /* on the last retry */
} ks_call;

/* Starts a call at `now`. False where the request is too large or memory ran out; then nothing is
 * to be cleaned up. */
bool ks_call_init(ks_call *call, ks_client *client, const ks_call_options *options, ks_now now);

/* May be called at any time, and twice; what the call held for others is given up. */
void ks_call_cleanup(ks_call *call);

ks_call_action ks_call_next(ks_call *call, ks_now now, ks_step *step);

/* Tell what came of the last SEND. Anything told at another time is not listened to. */
void ks_call_answered(ks_call *call, ks_now now, const ks_answer *answer);
void ks_call_failed(ks_call *call, ks_now now, const ks_failure *failure);

/* Ends the call where it stands: its outcome is what its attempts so far amount to. */
void ks_call_cancel(ks_call *call);

#endif
