/* Why a call failed: what every layer of the core speaks of. */
#ifndef KS_FAULT_H
#define KS_FAULT_H

#include <stdint.h>

typedef enum ks_fault_kind {
    KS_FAULT_NONE,
    KS_FAULT_API,       /* the platform answered with a code */
    KS_FAULT_TRANSPORT, /* the request or its answer got lost */
    KS_FAULT_TIMEOUT,
    KS_FAULT_PROTOCOL, /* an answer came that is none of the platform's */
    KS_FAULT_CANCELLED
} ks_fault_kind;

/* Whether the platform can have acted on the call. */
typedef enum ks_outcome {
    KS_OUTCOME_NOT_SENT, /* no byte of it can have been seen */
    KS_OUTCOME_REFUSED,  /* it was answered with a refusal */
    KS_OUTCOME_UNKNOWN
} ks_outcome;

/* How far a request got before it failed. Whatever a transport can't tell for certain is the later
 * one; one that says nothing may have got anywhere. */
typedef enum ks_reached {
    KS_REACHED_NOTHING,
    KS_REACHED_RESOLVED,
    KS_REACHED_CONNECTED,
    KS_REACHED_SECURED, /* no byte of the request was written, up to here … */
    KS_REACHED_SENDING, /* … and from here on one may have been */
    KS_REACHED_SENT,
    KS_REACHED_ANSWERING,
    KS_REACHED_UNSAID
} ks_reached;

/* Whether the platform can have acted on a request that got so far and was not answered. */
static inline ks_outcome ks_outcome_of(ks_reached reached) {
    return reached <= KS_REACHED_SECURED ? KS_OUTCOME_NOT_SENT : KS_OUTCOME_UNKNOWN;
}

enum { KS_FAULT_MESSAGE_MAX = 240 };

typedef struct ks_fault {
    ks_fault_kind kind;
    ks_outcome outcome;
    int32_t code;                       /* of KS_FAULT_API, else 0 */
    int http_status;                    /* of the answer, or 0 */
    char message[KS_FAULT_MESSAGE_MAX]; /* ends with a zero */
} ks_fault;

#endif
