/* A call's side of sharing the token with other processes.
 *
 * Told to SEEK, look where they leave it. What is there, `adopt`. Where that helps nothing, claim
 * the fetch: with the claim look once more, since somebody may just have finished, and call
 * `elected`; where another has the claim, `told` what that left behind as the reason of a failure,
 * or `stand_back`; where neither helps, look again in a moment. Ask `next` after each.
 *
 * Told to SHARE, write `ks_sharing_record` to where others look, end the claim, call `shared`.
 */
#ifndef KS_SHARING_H
#define KS_SHARING_H

#include "core/call.h"

/* A moment of the clock that processes have in common. `before` and `now` are this process's times
 * around reading it. */
typedef struct ks_common_time {
    bool known;
    int64_t at;
    ks_span epoch;
    int64_t before;
} ks_common_time;

/* Takes over what another process left: what it knew of the server's clock, and the token where
 * that is newer than ours and good. True where it was; the call goes on with it. */
bool ks_sharing_adopt(ks_call *call, ks_now now, const ks_common_time *common, ks_span text);

/* The call fetches; or would have by its own claim. */
void ks_sharing_elected(ks_call *call);

/* Another process fetches: goes on with the token that is here. False where that is not good. */
bool ks_sharing_stand_back(ks_call *call, ks_now now);

/* Another process failed: takes over the reason it left. False where the text is no such thing. */
bool ks_sharing_told(ks_call *call, ks_now now, ks_span text);

typedef enum ks_sharing_kind {
    KS_SHARING_NOTHING, /* the fetch was given up, or failed for a reason that is this process's own
                         */
    KS_SHARING_TOKEN,   /* to be saved for `lasts` milliseconds */
    KS_SHARING_FAILURE  /* a note for those who wait */
} ks_sharing_kind;

/* Appends what there is to leave for others. */
ks_sharing_kind ks_sharing_record(const ks_call *call, ks_now now, const ks_common_time *common,
                                  ks_text *text, int64_t *lasts);

void ks_sharing_shared(ks_call *call);

#endif
