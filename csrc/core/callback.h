/* A callback as it came, believed only when it is signed [api.md 6, 7].
 *
 * The whole body is scanned once, strictly; the canonical text is made of the bytes that stand
 * there. Nothing of it may be looked at before `ks_verifier_read` answers OK. A ks_verifier knows
 * several secrets, so that a secret can be replaced while callbacks signed with the old one are
 * still on their way; one thread at a time uses it.
 *
 * The two members beside `data`, `id` and `action`, are not covered by any signature: that is how
 * the platform made it.
 */
#ifndef KS_CALLBACK_H
#define KS_CALLBACK_H

#include "core/signature.h"

#define KS_VERIFIER_KEYS_MAX 8

typedef struct ks_verifier ks_verifier;

/* Nodes of the tape; 0 where the body has no such member. `data` is an object always. */
typedef struct ks_callback {
    const ks_json_tape *tape; /* good until the next read */
    uint32_t id;
    uint32_t action;
    uint32_t data;
} ks_callback;

/* What is to be checked: the body and two headers. */
typedef struct ks_posted {
    ks_span body;
    ks_span signature;
    ks_span timestamp;
} ks_posted;

/* Without a key, which refuses all. NULL when the memory failed. */
ks_verifier *ks_verifier_new(void);

/* Another one with the same keys. */
ks_verifier *ks_verifier_copy(const ks_verifier *verifier);

void ks_verifier_free(ks_verifier *verifier);

/* An app_id without data stands for that of the first key. False when the secret is empty, there
 * are too many keys, or libcrypto or the memory failed. */
bool ks_verifier_add(ks_verifier *verifier, ks_span app_id, ks_span secret);

/* OK when the signature is that of `data` and the timestamp under any of the keys, in either order;
 * `callback` is set then. BAD_DATA when the body is no JSON object with an object `data` in it.
 * A `timestamp` among the data takes the header's place in what is signed; one that differs from
 * the header is REFUSED, because a replay could then show whatever moment it likes. */
ks_signature_status ks_verifier_read(ks_verifier *verifier, const ks_posted *posted,
                                     ks_callback *callback, ks_json_fault *fault);

#endif
