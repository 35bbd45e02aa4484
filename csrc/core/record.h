/* What processes that share an access token tell each other: the token and what is known of the
 * server's clock; or why a token could not be had.
 */
#ifndef KS_RECORD_H
#define KS_RECORD_H

#include "core/fault.h"
#include "core/text.h"

#include <stdbool.h>
#include <stdint.h>

enum { KS_RECORD_EPOCH_MAX = 64 };

/* The server's time, as known at the moment `at` of a clock that writer and reader have in common.
 * `epoch` names that clock; under another name `at` says nothing. */
typedef struct ks_sight {
    bool known;
    int64_t at;
    int64_t earliest;
    int64_t latest;
    ks_span epoch;
} ks_sight;

/* `serial` grows with each token fetched by those who share them. */
typedef struct ks_shared_token {
    ks_span value;
    uint32_t serial;
    int64_t expires;
    int64_t lifetime;
} ks_shared_token;

/* Append. The value must not be longer than KS_TOKEN_SIZE_MAX, the epoch than KS_RECORD_EPOCH_MAX.
 */
bool ks_record_write_token(ks_text *record, const ks_shared_token *token, const ks_sight *sight);
bool ks_record_write_failure(ks_text *record, const ks_fault *failure);

/* False for anything but a whole record of that kind. Spans point into it. */
bool ks_record_read_token(ks_span record, ks_shared_token *token, ks_sight *sight);
bool ks_record_read_failure(ks_span record, ks_fault *failure);

#endif
