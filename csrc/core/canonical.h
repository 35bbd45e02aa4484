/* The text a callback's signature is made of [api.md 6].
 *
 * The platform joins the members of `data` and serializes nested values with a library whose two
 * generations differ; both are written here. What is common: top-level keys sorted by UTF-16 code
 * unit, null members dropped, null elements of arrays kept, the last of duplicate keys taken, and
 * numbers carried from text to text without ever becoming a float.
 *
 * Decided where nothing is published:
 *   - in document order a number with an exponent stays as written (a sender whose one writer makes
 *     both the body and the text spells it the same twice), a minus before zero excepted;
 *   - a null `appId` or `timestamp` in the data is left out, so it does not replace the header's;
 *   - half a surrogate pair is refused, as everywhere (json.h).
 */
#ifndef KS_CANONICAL_H
#define KS_CANONICAL_H

#include "core/json.h"
#include "core/text.h"

#define KS_CANONICAL_DATA_MAX (256 * 1024)      /* bytes of JSON; a real callback has about 600 */
#define KS_CANONICAL_MAX      (2 * 1024 * 1024) /* bytes of the text: all of it as \uXXXX */

typedef enum ks_order {
    KS_ORDER_DOCUMENT, /* fastjson 2.x: members of nested objects as written */
    KS_ORDER_HASH      /* fastjson 1.x: members of nested objects as a Java HashMap has them */
} ks_order;

/* Working memory, reused from one callback to the next. */
typedef struct ks_canonical ks_canonical;

ks_canonical *ks_canonical_new(void);
void ks_canonical_free(ks_canonical *canonical);

/* Reads `data`, which must be a JSON object and stay where it is until the last `write`. */
bool ks_canonical_read(ks_canonical *canonical, ks_span data, ks_json_fault *fault);

/* What was read last, node by node. */
const ks_json_tape *ks_canonical_tape(const ks_canonical *canonical);

/* Writes an object inside what was read last instead of the whole: a node of the tape. False, with
 * `fault`, when it is no object. */
bool ks_canonical_choose(ks_canonical *canonical, uint32_t node, ks_json_fault *fault);

/* Appends the text of what was read or chosen last to `out`. False, with `fault`, when a number's
 * exponent is beyond what Java's BigDecimal takes (hash order only), or the memory or `out` did not
 * suffice. */
bool ks_canonical_write(ks_canonical *canonical, ks_span app_id, ks_span timestamp, ks_order order,
                        ks_text *out, ks_json_fault *fault);

#endif
