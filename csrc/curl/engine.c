/* Transfers on their way: waiting -> running in the multi -> finished -> taken -> kept for reuse.
 *
 * A transfer is found by its id, which is the place in a table and how often that place was used.
 */
#define _GNU_SOURCE /* dladdr */

#include "curl/engine.h"
#include "curl/deadlines.h"
#include "curl/poller.h"
#include "curl/transfer.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define KS_PLACE_BITS   20
#define KS_PLACES_MAX   ((uint32_t)1 << KS_PLACE_BITS)
#define KS_NO_PLACE     UINT32_MAX
#define KS_KEPT_MAX     256 /* idle easy handles */
#define KS_LET_IN_CHUNK 32  /* transfers handed to libcurl between looks at the clock */
#define KS_LET_IN_MS    2   /* after which the others wait for the next pass */
#define KS_EXPIRE_MAX   128 /* transfers timed out in one pass */
#define KS_BLIND_MS     10  /* between steps where there is no descriptor to wait on */

typedef struct {
    ks_transfer *transfer;
    uint32_t uses, next_free;
} ks_place;

typedef struct {
    ks_transfer *first, *last;
    size_t count;
} ks_queue;

struct ks_engine {
    ks_engine_options options;
    char *texts[4]; /* what the options point to */
    CURLM *multi;
    ks_poller poller;
    ks_deadlines deadlines;
    unsigned forks; /* of the process that made what follows */
    bool closed;
    ks_place *places;
    uint32_t place_count, free_place;
    ks_queue waiting, finished;
    size_t running;
    ks_transfer *taken; /* what the last result points into */
    ks_transfer *kept;
    size_t kept_count;
};

ks_engine_options ks_engine_defaults(void) {
    return (ks_engine_options){
        .connect_timeout_ms = 10000,
        .max_response = (size_t)4 << 20,
        .max_connections = 256,
        .http2 = true,
    };
}

/* Process-wide ------------------------------------------------------------------------------ */

/* A thread of libcurl that still resolves a name outlives the engine that asked for it. The code it
 * runs must stay when a Lua state closes and unloads its modules. */
static void stay_loaded(void) {
#ifdef RTLD_NODELETE
    static const char here = 0;
    Dl_info self;
    if (dladdr(&here, &self) != 0 && self.dli_fname) {
        (void)dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
    }
#endif
}

/* How many forks lie behind this process. Comparing process ids instead would be a system call at
 * every start and next, up to 4 % of a call. */
static atomic_uint forks;

static void count_fork(void) {
    atomic_fetch_add(&forks, 1);
}

/* libcurl counts its initialisations, so two threads that meet here do no harm (7.84 and later). */
static bool start_libcurl(void) {
    static atomic_bool started;
    if (!atomic_load(&started)) {
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
            pthread_atfork(NULL, NULL, count_fork) != 0) {
            return false;
        }
        stay_loaded();
        atomic_store(&started, true);
    }
    return true;
}

/* Before 7.87 libcurl let OpenSSL write to the socket itself, which a peer that is gone answers
 * with SIGPIPE; NOSIGNAL leaves it to us. */
typedef struct {
    bool active;
    struct sigaction before;
} ks_quiet;

static ks_quiet quiet_begin(void) {
    ks_quiet quiet = {.active = curl_version_info(CURLVERSION_NOW)->version_num < 0x075700};
    if (quiet.active) {
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        sigaction(SIGPIPE, &ignore, &quiet.before);
    }
    return quiet;
}

static void quiet_end(const ks_quiet *quiet) {
    if (quiet->active) {
        sigaction(SIGPIPE, &quiet->before, NULL);
    }
}

/* Queues and places ------------------------------------------------------------------------- */

static void push(ks_queue *queue, ks_transfer *transfer) {
    transfer->next = NULL;
    if (queue->last) {
        queue->last->next = transfer;
    } else {
        queue->first = transfer;
    }
    queue->last = transfer;
    queue->count++;
}

static ks_transfer *shift(ks_queue *queue) {
    ks_transfer *transfer = queue->first;
    if (transfer) {
        queue->first = transfer->next;
        queue->last = queue->first ? queue->last : NULL;
        queue->count--;
    }
    return transfer;
}

static void unlink_from(ks_queue *queue, ks_transfer *transfer) {
    ks_transfer *before = NULL, *at = queue->first;
    while (at != transfer) {
        before = at;
        at = at->next;
    }
    if (before) {
        before->next = transfer->next;
    } else {
        queue->first = transfer->next;
    }
    queue->last = queue->last == transfer ? before : queue->last;
    queue->count--;
}

static bool grow_places(ks_engine *engine) {
    uint32_t count = engine->place_count ? 2 * engine->place_count : 64;
    ks_place *places =
        count > KS_PLACES_MAX ? NULL : realloc(engine->places, count * sizeof *places);
    if (!places) {
        return false;
    }
    for (uint32_t i = engine->place_count; i < count; i++) {
        places[i] = (ks_place){.next_free = i + 1 < count ? i + 1 : KS_NO_PLACE};
    }
    engine->free_place = engine->place_count;
    engine->places = places;
    engine->place_count = count;
    return true;
}

static bool take_place(ks_engine *engine, ks_transfer *transfer) {
    if (engine->free_place == KS_NO_PLACE && !grow_places(engine)) {
        return false;
    }
    uint32_t at = engine->free_place;
    ks_place *place = &engine->places[at];
    engine->free_place = place->next_free;
    place->transfer = transfer;
    place->uses = place->uses == UINT32_MAX ? 1 : place->uses + 1;
    transfer->id = (int64_t)place->uses << KS_PLACE_BITS | at;
    return true;
}

static void leave_place(ks_engine *engine, const ks_transfer *transfer) {
    uint32_t at = (uint32_t)(transfer->id & (KS_PLACES_MAX - 1));
    engine->places[at].transfer = NULL;
    engine->places[at].next_free = engine->free_place;
    engine->free_place = at;
}

static ks_transfer *find(const ks_engine *engine, int64_t id) {
    uint32_t at = (uint32_t)(id & (KS_PLACES_MAX - 1));
    ks_transfer *transfer = at < engine->place_count ? engine->places[at].transfer : NULL;
    return transfer && transfer->id == id ? transfer : NULL;
}

/* Transfers for reuse ----------------------------------------------------------------------- */

static ks_transfer *acquire(ks_engine *engine) {
    ks_transfer *transfer = engine->kept;
    if (!transfer) {
        return ks_transfer_new(&engine->options, &engine->poller);
    }
    engine->kept = transfer->next;
    engine->kept_count--;
    return transfer;
}

static void release(ks_engine *engine, ks_transfer *transfer) {
    if (engine->closed || transfer->spoiled || engine->kept_count >= KS_KEPT_MAX) {
        ks_transfer_free(transfer);
        return;
    }
    ks_transfer_clear(transfer);
    transfer->state = KS_IDLE;
    transfer->next = engine->kept;
    engine->kept = transfer;
    engine->kept_count++;
}

static void release_taken(ks_engine *engine) {
    if (engine->taken) {
        leave_place(engine, engine->taken);
        release(engine, engine->taken);
        engine->taken = NULL;
    }
}

static void free_kept(ks_engine *engine, void (*let_go)(ks_transfer *)) {
    while (engine->kept) {
        ks_transfer *transfer = engine->kept;
        engine->kept = transfer->next;
        let_go(transfer);
    }
    engine->kept_count = 0;
}

static void free_placed(ks_engine *engine, void (*let_go)(ks_transfer *)) {
    for (uint32_t i = 0; i < engine->place_count; i++) {
        ks_transfer *transfer = engine->places[i].transfer;
        if (transfer) {
            leave_place(engine, transfer);
            let_go(transfer);
        }
    }
    engine->waiting = engine->finished = (ks_queue){0};
    engine->taken = NULL;
    engine->running = 0;
}

/* The multi --------------------------------------------------------------------------------- */

static bool open_multi(ks_engine *engine) {
    if (engine->multi) {
        return true;
    }
    if (!ks_poller_open(&engine->poller) || !(engine->multi = curl_multi_init())) {
        return false;
    }
    long connections = engine->options.max_connections;
    curl_multi_setopt(engine->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    curl_multi_setopt(engine->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
    curl_multi_setopt(engine->multi, CURLMOPT_MAXCONNECTS, connections);
    ks_poller_join(&engine->poller, engine->multi);
    return true;
}

static void close_multi(ks_engine *engine) {
    if (engine->multi) {
        curl_multi_cleanup(engine->multi);
        engine->multi = NULL;
        engine->poller.due = KS_NEVER;
    }
}

/* In a child nothing of the parent may be used, nor libcurl's part of it freed: TLS would say
 * good-bye on connections that are the parent's. */
static void forget(ks_engine *engine) {
    engine->forks = atomic_load(&forks);
    free_placed(engine, ks_transfer_forget);
    free_kept(engine, ks_transfer_forget);
    ks_deadlines_cleanup(&engine->deadlines);
    ks_poller_forget(&engine->poller);
    engine->multi = NULL;
}

/* Every public function begins here. */
static void enter(ks_engine *engine) {
    if (engine->forks != atomic_load_explicit(&forks, memory_order_relaxed)) {
        forget(engine);
    }
    release_taken(engine);
}

static int64_t next_event(const ks_engine *engine) {
    const ks_transfer *first = ks_deadlines_first(&engine->deadlines);
    if (engine->finished.count > 0 || engine->waiting.count > 0) {
        return 0;
    }
    return first ? first->deadline : KS_NEVER;
}

/* A failure here only means that a host hears of something late, by its deadline. */
static void settle(ks_engine *engine) {
    (void)ks_poller_settle(&engine->poller, next_event(engine));
}

/* From waiting to finished ------------------------------------------------------------------ */

/* The outcome must have been set: with the multi goes what libcurl knew. */
static void end(ks_engine *engine, ks_transfer *transfer) {
    if (transfer->state == KS_RUNNING) {
        curl_multi_remove_handle(engine->multi, transfer->easy);
        engine->running--;
    } else {
        unlink_from(&engine->waiting, transfer);
    }
    ks_deadlines_remove(&engine->deadlines, transfer);
    transfer->state = KS_FINISHED;
    push(&engine->finished, transfer);
}

static void end_all(ks_engine *engine, ks_reason reason, const char *message, bool waiting_too) {
    for (uint32_t i = 0; i < engine->place_count; i++) {
        ks_transfer *transfer = engine->places[i].transfer;
        if (transfer &&
            (transfer->state == KS_RUNNING || (waiting_too && transfer->state == KS_QUEUED))) {
            ks_transfer_fail(transfer, reason, message);
            transfer->spoiled = true;
            end(engine, transfer);
        }
    }
}

static void collect(ks_engine *engine) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(engine->multi, &left))) {
        ks_transfer *transfer = NULL;
        CURLcode code = message->data.result; /* removing the handle takes the message away */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        ks_transfer_finish(transfer, code);
        end(engine, transfer);
    }
}

static void let_in(ks_engine *engine) {
    for (int i = 0; i < KS_LET_IN_CHUNK && engine->waiting.count > 0; i++) {
        ks_transfer *transfer = engine->waiting.first;
        if (!open_multi(engine) ||
            curl_multi_add_handle(engine->multi, transfer->easy) != CURLM_OK) {
            ks_transfer_fail(transfer, KS_REASON_MEMORY, "no memory or descriptor to send it with");
            end(engine, transfer);
            continue;
        }
        shift(&engine->waiting);
        transfer->state = KS_RUNNING;
        engine->running++;
    }
}

/* Opening a connection is the dearest part of a transfer, so a burst is let in by time, not count:
 * hosts with a frame to draw get the rest of it at the next step. */
static CURLMcode send_waiting(ks_engine *engine) {
    CURLMcode code = CURLM_OK;
    int64_t end_by = engine->waiting.count > KS_LET_IN_CHUNK ? ks_now() + KS_LET_IN_MS : 0;
    do {
        let_in(engine);
        if (engine->multi) {
            code = ks_poller_fire(&engine->poller);
            collect(engine);
        }
    } while (code == CURLM_OK && engine->waiting.count > 0 && ks_now() < end_by);
    return code;
}

static void expire(ks_engine *engine) {
    ks_transfer *transfer = ks_deadlines_first(&engine->deadlines);
    int64_t now = transfer ? ks_now() : 0;
    for (int i = 0; i < KS_EXPIRE_MAX && transfer && transfer->deadline <= now; i++) {
        ks_transfer_fail(transfer, KS_REASON_TIMEOUT, "the time-out passed");
        end(engine, transfer);
        transfer = ks_deadlines_first(&engine->deadlines);
    }
}

/* After an error of the multi every transfer in it is in an unknown state. */
static void rebuild(ks_engine *engine, CURLMcode code) {
    ks_reason reason = code == CURLM_OUT_OF_MEMORY ? KS_REASON_MEMORY : KS_REASON_PROTOCOL;
    end_all(engine, reason, curl_multi_strerror(code), false);
    close_multi(engine);
}

/* True: nothing more to wait for in this step, because a signal arrived. */
static bool pass(ks_engine *engine, int64_t until) {
    bool interrupted = false;
    expire(engine);
    CURLMcode code = send_waiting(engine);
    if (!engine->multi) {
        return false;
    }
    if (code == CURLM_OK) {
        int64_t event = next_event(engine);
        code = ks_poller_wait(&engine->poller, event < until ? event : until, &interrupted);
        collect(engine);
    }
    if (code != CURLM_OK) {
        rebuild(engine, code);
    }
    return interrupted;
}

/* The public functions ---------------------------------------------------------------------- */

static bool own(const char **text, char **owned) {
    if (!*text) {
        return true;
    }
    size_t size = strlen(*text) + 1;
    *owned = malloc(size);
    if (*owned) {
        *text = memcpy(*owned, *text, size);
    }
    return *owned != NULL;
}

ks_engine *ks_engine_new(const ks_engine_options *options) {
    ks_engine *engine = calloc(1, sizeof *engine);
    if (!engine) {
        return NULL;
    }
    engine->options = *options;
    if (!ks_engine_guards_reuse()) {
        engine->options.http2 = false; /* a refused stream would be sent again */
    }
    engine->forks = atomic_load(&forks);
    engine->free_place = KS_NO_PLACE;
    ks_poller_init(&engine->poller);
    if (!own(&engine->options.user_agent, &engine->texts[0]) ||
        !own(&engine->options.ca_file, &engine->texts[1]) ||
        !own(&engine->options.pinned_key, &engine->texts[2]) ||
        !own(&engine->options.proxy, &engine->texts[3])) {
        ks_engine_free(engine);
        return NULL;
    }
    return engine;
}

void ks_engine_close(ks_engine *engine) {
    enter(engine);
    ks_quiet quiet = quiet_begin();
    end_all(engine, KS_REASON_CANCELLED, "the engine was closed", true);
    close_multi(engine);
    ks_poller_cleanup(&engine->poller);
    free_kept(engine, ks_transfer_free);
    engine->closed = true;
    quiet_end(&quiet);
}

void ks_engine_free(ks_engine *engine) {
    if (!engine) {
        return;
    }
    ks_engine_close(engine);
    free_placed(engine, ks_transfer_free);
    ks_deadlines_cleanup(&engine->deadlines);
    for (size_t i = 0; i < sizeof engine->texts / sizeof *engine->texts; i++) {
        free(engine->texts[i]);
    }
    free(engine->places);
    free(engine);
}

static const char *queue_request(ks_engine *engine, const ks_request *request, int64_t *id) {
    ks_transfer *transfer = start_libcurl() ? acquire(engine) : NULL;
    if (!transfer) {
        return "no memory, or libcurl refuses an option";
    }
    transfer->deadline = ks_now() + request->timeout_ms;
    bool placed =
        ks_transfer_prepare(transfer, request, &engine->options) && take_place(engine, transfer);
    if (!placed || !ks_deadlines_add(&engine->deadlines, transfer)) {
        if (placed) {
            leave_place(engine, transfer);
        }
        release(engine, transfer);
        return "no memory for another transfer";
    }
    transfer->state = KS_QUEUED;
    push(&engine->waiting, transfer);
    *id = transfer->id;
    return NULL;
}

int64_t ks_engine_start(ks_engine *engine, const ks_request *request, ks_reason *reason,
                        const char **message) {
    int64_t id = 0;
    enter(engine);
    *reason = KS_REASON_INVALID;
    *message = ks_transfer_check(request);
    if (!*message && engine->closed) {
        *reason = KS_REASON_CLOSED;
        *message = "the engine is closed";
    }
    if (!*message) {
        *reason = KS_REASON_MEMORY;
        *message = queue_request(engine, request, &id);
        settle(engine);
    }
    return id;
}

size_t ks_engine_step(ks_engine *engine, long timeout_ms) {
    bool interrupted = false;
    enter(engine);
    ks_quiet quiet = quiet_begin();
    /* With nothing in flight too: a kept connection may have made the descriptor readable. */
    bool idle = engine->waiting.count + engine->running == 0;
    int64_t until = idle || timeout_ms == 0 ? 0 : timeout_ms < 0 ? KS_NEVER : ks_now() + timeout_ms;
    do {
        interrupted = pass(engine, until);
    } while (engine->finished.count == 0 && engine->waiting.count + engine->running > 0 &&
             !interrupted && (until == KS_NEVER || ks_now() < until));
    settle(engine);
    quiet_end(&quiet);
    return engine->finished.count;
}

static ks_span span_of(const ks_kept_header *kept) {
    return kept->present ? (ks_span){kept->text, kept->len} : (ks_span){0};
}

bool ks_engine_next(ks_engine *engine, ks_result *result) {
    enter(engine);
    ks_transfer *transfer = shift(&engine->finished);
    if (!transfer) {
        return false;
    }
    engine->taken = transfer;
    settle(engine);
    *result = (ks_result){
        .id = transfer->id,
        .status = transfer->status,
        .body = {transfer->body.data ? transfer->body.data : "", transfer->body.len},
        .date = span_of(&transfer->date),
        .retry_after = span_of(&transfer->retry_after),
        .content_type = span_of(&transfer->content_type),
        .reason = transfer->reason,
        .reached = transfer->reached,
        .message = transfer->error,
    };
    return true;
}

int ks_engine_pollfd(ks_engine *engine) {
    enter(engine);
    if (engine->closed || !start_libcurl() || !ks_poller_open(&engine->poller)) {
        return -1;
    }
    int fd = ks_poller_fd(&engine->poller);
    settle(engine);
    return fd;
}

long ks_engine_timeout(ks_engine *engine) {
    enter(engine);
    int64_t due = next_event(engine);
    due = engine->poller.due < due ? engine->poller.due : due;
    if (due == KS_NEVER) {
        return -1;
    }
    int64_t left = due == 0 ? 0 : due - ks_now();
    long most = KS_HAVE_EPOLL ? LONG_MAX : KS_BLIND_MS;
    return left <= 0 ? 0 : left < most ? (long)left : most;
}

size_t ks_engine_pending(ks_engine *engine) {
    enter(engine);
    return engine->waiting.count + engine->running + engine->finished.count;
}

bool ks_engine_cancel(ks_engine *engine, int64_t id) {
    enter(engine);
    ks_transfer *transfer = find(engine, id);
    if (!transfer || transfer->state == KS_FINISHED) {
        return false;
    }
    ks_quiet quiet = quiet_begin();
    ks_transfer_fail(transfer, KS_REASON_CANCELLED, "the transfer was cancelled");
    end(engine, transfer);
    settle(engine);
    quiet_end(&quiet);
    return true;
}
