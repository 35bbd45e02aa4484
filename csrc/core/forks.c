#include "core/forks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

static atomic_uint count;

static void count_fork(void) {
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
}

/* Comparing process ids instead would be a system call for every call. Where the handler can't be
 * had, for want of memory, the next question tries again. */
unsigned ks_forks(void) {
    static atomic_bool watching;
    if (!atomic_load_explicit(&watching, memory_order_relaxed) &&
        pthread_atfork(NULL, NULL, count_fork) == 0)
        atomic_store_explicit(&watching, true, memory_order_relaxed);
    return atomic_load_explicit(&count, memory_order_relaxed);
}
