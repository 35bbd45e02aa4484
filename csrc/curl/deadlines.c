/* A binary heap whose members know their place, so that one can leave from the middle. */
#include "curl/deadlines.h"

#include <stdlib.h>

static void place(ks_deadlines *deadlines, size_t at, ks_transfer *transfer) {
    deadlines->heap[at] = transfer;
    transfer->deadline_place = at;
}

static void rise(ks_deadlines *deadlines, size_t at, ks_transfer *transfer) {
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (deadlines->heap[parent]->deadline <= transfer->deadline) {
            break;
        }
        place(deadlines, at, deadlines->heap[parent]);
        at = parent;
    }
    place(deadlines, at, transfer);
}

static void sink(ks_deadlines *deadlines, size_t at, ks_transfer *transfer) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= deadlines->count) {
            break;
        }
        if (child + 1 < deadlines->count &&
            deadlines->heap[child + 1]->deadline < deadlines->heap[child]->deadline) {
            child++;
        }
        if (transfer->deadline <= deadlines->heap[child]->deadline) {
            break;
        }
        place(deadlines, at, deadlines->heap[child]);
        at = child;
    }
    place(deadlines, at, transfer);
}

static bool grow(ks_deadlines *deadlines) {
    size_t capacity = deadlines->capacity ? 2 * deadlines->capacity : 64;
    ks_transfer **heap = realloc(deadlines->heap, capacity * sizeof *heap);
    if (!heap) {
        return false;
    }
    deadlines->heap = heap;
    deadlines->capacity = capacity;
    return true;
}

bool ks_deadlines_add(ks_deadlines *deadlines, ks_transfer *transfer) {
    if (deadlines->count == deadlines->capacity && !grow(deadlines)) {
        return false;
    }
    rise(deadlines, deadlines->count++, transfer);
    return true;
}

void ks_deadlines_remove(ks_deadlines *deadlines, ks_transfer *transfer) {
    size_t at = transfer->deadline_place;
    ks_transfer *last = deadlines->heap[--deadlines->count];
    if (last == transfer) {
        return;
    }
    if (at > 0 && last->deadline < deadlines->heap[(at - 1) / 2]->deadline) {
        rise(deadlines, at, last);
    } else {
        sink(deadlines, at, last);
    }
}

ks_transfer *ks_deadlines_first(const ks_deadlines *deadlines) {
    return deadlines->count ? deadlines->heap[0] : NULL;
}

void ks_deadlines_cleanup(ks_deadlines *deadlines) {
    free(deadlines->heap);
    *deadlines = (ks_deadlines){0};
}
