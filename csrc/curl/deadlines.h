/* The total time-outs of an engine's transfers, soonest first. Private to the engine.
 *
 * The engine keeps them itself: libcurl 7.88 does not look at a transfer's time-out while it waits
 * for a free connection, so one that hangs would take those behind it past their own limits. */
#ifndef KS_CURL_DEADLINES_H
#define KS_CURL_DEADLINES_H

#include "curl/transfer.h"

typedef struct {
    ks_transfer **heap;
    size_t count, capacity;
} ks_deadlines;

/* False: no memory, and nothing changed. */
bool ks_deadlines_add(ks_deadlines *deadlines, ks_transfer *transfer);
void ks_deadlines_remove(ks_deadlines *deadlines, ks_transfer *transfer);

/* The one that ends first; NULL: none. */
ks_transfer *ks_deadlines_first(const ks_deadlines *deadlines);
void ks_deadlines_cleanup(ks_deadlines *deadlines);

#endif
