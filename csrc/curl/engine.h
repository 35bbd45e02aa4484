/* HTTP transfers, any number at a time, behind one pollable descriptor. libcurl only.
 *
 * An engine is used by one thread at a time and never calls back: `start` takes a copy of a
 * request, `step` moves bytes, `next` hands over what has finished, in the order it finished.
 * Making an engine makes no socket, no descriptor and no libcurl state; the first step with
 * something to do does. TLS is always verified, redirects are never followed, nothing but http and
 * https is spoken, and no request is ever written twice: where libcurl would send one again after
 * a kept connection died, the transfer fails instead and says how far it got.
 *
 * After a fork the child's first call forgets every transfer, connection and descriptor of the
 * parent without disturbing them; pollfd is another one from then on.
 */
#ifndef KS_CURL_ENGINE_H
#define KS_CURL_ENGINE_H

#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ks_engine ks_engine;

#define KS_URL_MAX             ((size_t)8 << 10)
#define KS_HEADERS_MAX         ((size_t)32)       /* of a request */
#define KS_REQUEST_HEADERS_MAX ((size_t)64 << 10) /* bytes */
#define KS_REQUEST_BODY_MAX    ((size_t)8 << 20)
#define KS_ANSWER_HEADERS_MAX  ((size_t)64 << 10)
#define KS_ANSWER_HEADER_MAX   ((size_t)127) /* a longer value counts as absent */

typedef struct {
    const char *user_agent;  /* NULL: the header is not sent */
    const char *ca_file;     /* PEM file of the authorities to trust; NULL: libcurl's own */
    const char *pinned_key;  /* "sha256//BASE64" (several: joined by ';') or a file; NULL: none */
    const char *proxy;       /* NULL: as the environment says; "": none, whatever it says */
    long connect_timeout_ms; /* name, TCP, proxy and TLS together; never beyond a request's own */
    size_t max_response;     /* bytes of one body; a longer one fails as too_large */
    long max_connections;    /* open at once, idle ones included; what is over waits its turn */
    bool http2;              /* over TLS, where the server offers it */
} ks_engine_options;

/* No proxy of its own, 10 s to connect, 4 MiB, 256 connections, HTTP/2. */
ks_engine_options ks_engine_defaults(void);

typedef enum {
    KS_REASON_NONE,
    KS_REASON_INVALID, /* the request itself: never sent */
    KS_REASON_TIMEOUT,
    KS_REASON_RESOLVE,
    KS_REASON_CONNECT,
    KS_REASON_TLS,
    KS_REASON_PROXY,
    KS_REASON_SEND,
    KS_REASON_RECEIVE, /* closed or broken before the answer was complete */
    KS_REASON_TOO_LARGE,
    KS_REASON_PROTOCOL,
    KS_REASON_CANCELLED,
    KS_REASON_CLOSED, /* the engine was closed before it was started */
    KS_REASON_MEMORY,
} ks_reason;

/* How far a transfer may have got; never less than it did. Up to and including KS_REACHED_SECURED
 * it is proven that no byte of the request was written. From KS_REACHED_SENDING on the server may
 * have acted on it. */
typedef enum {
    KS_REACHED_NOTHING,
    KS_REACHED_RESOLVED,
    KS_REACHED_CONNECTED,
    KS_REACHED_SECURED,
    KS_REACHED_SENDING,
    KS_REACHED_SENT,
    KS_REACHED_ANSWERING,
} ks_reached;

const char *ks_reason_name(ks_reason reason);
const char *ks_reached_name(ks_reached reached);

typedef struct {
    int64_t id;
    long status; /* 0: it failed, see the last three; otherwise see the spans */
    ks_span body, date, retry_after, content_type;
    ks_reason reason;
    ks_reached reached;
    const char *message; /* one printable line without secrets */
} ks_result;

/* Copies the options. NULL: no memory. */
ks_engine *ks_engine_new(const ks_engine_options *options);

/* Closes and frees; transfers in flight and results not taken are gone. NULL is allowed. */
void ks_engine_free(ks_engine *engine);

/* Copies the request and queues it; the next step sends it. Returns its id, above 0 and below 2^53,
 * or 0 with *reason and *message (a constant) set, and then nothing was or will be sent. */
int64_t ks_engine_start(ks_engine *engine, const ks_request *request, ks_reason *reason,
                        const char **message);

/* Does what there is to do and returns how many results are waiting. Waits at most timeout_ms for
 * the first of them; 0: never; below 0: until there is one. Returns early, perhaps with 0, when
 * nothing is in flight or a signal arrived. Each wait is followed by a bounded number of events, so
 * that step(0) is short whatever is in flight. */
size_t ks_engine_step(ks_engine *engine, long timeout_ms);

/* Takes the next result. What *result points to lives until the next call on this engine. False:
 * none is waiting. */
bool ks_engine_next(ks_engine *engine, ks_result *result);

/* A descriptor that is readable whenever step or next has something to do; poll it for reading,
 * nothing else. -1: this system has none, poll by ks_engine_timeout. Valid until close or fork. */
int ks_engine_pollfd(ks_engine *engine);

/* Milliseconds until step wants to be called whatever the descriptor says; -1: not before it. */
long ks_engine_timeout(ks_engine *engine);

/* Transfers started and not yet taken by next. */
size_t ks_engine_pending(ks_engine *engine);

/* Ends a transfer in flight as KS_REASON_CANCELLED; next delivers it. False: not in flight. */
bool ks_engine_cancel(ks_engine *engine, int64_t id);

/* Cancels everything in flight, closes every connection and descriptor, and refuses new transfers
 * from then on; results are still delivered by next. May be called again. */
void ks_engine_close(ks_engine *engine);

/* Whether a second writing of a request can be seen and stopped on any connection (libcurl 7.80 and
 * later). Where it can't, HTTP/2 is off, every request but GET and HEAD gets a connection of its
 * own, on which libcurl repeats nothing, and only a GET or HEAD may be repeated. */
bool ks_engine_guards_reuse(void);

#endif
