/* One transfer: a kept easy handle, the request it sends, the answer it collects, and, when it
 * failed, why and how far it got. Private to the engine. */
#ifndef KS_CURL_TRANSFER_H
#define KS_CURL_TRANSFER_H

#include "curl/bytes.h"
#include "curl/engine.h"
#include "curl/poller.h"

#include <curl/curl.h>

typedef enum { KS_IDLE, KS_QUEUED, KS_RUNNING, KS_FINISHED } ks_state;

typedef enum { KS_SHAPE_NEW, KS_SHAPE_GET, KS_SHAPE_HEAD, KS_SHAPE_BODY } ks_shape;

typedef struct {
    char text[KS_ANSWER_HEADER_MAX];
    unsigned char len;
    bool present;
} ks_kept_header;

typedef struct ks_transfer {
    CURL *easy;
    ks_poller *poller;
    size_t max_response;

    /* The engine's book-keeping. */
    struct ks_transfer *next;
    ks_state state;
    int64_t id;
    int64_t deadline;
    size_t deadline_place;
    bool spoiled; /* libcurl failed with it: not to be used again */

    /* The request; what libcurl is told of it only when it differs from the one before. */
    ks_bytes request;
    struct curl_slist headers[KS_HEADERS_MAX + 2];
    size_t body_len;
    ks_shape shape;
    bool named_method, waits_for_h2, fresh;

    /* The answer. */
    ks_bytes body;
    ks_kept_header date, retry_after, content_type;
    size_t header_bytes;
    bool opened;    /* a socket was asked for: the name is known */
    bool written;   /* the request was let through to the connection */
    bool repeated;  /* libcurl wanted to write it a second time and was stopped */
    bool answering; /* a byte of the answer came */
    bool too_large;

    long status;
    ks_reason reason;
    ks_reached reached;
    char error[CURL_ERROR_SIZE];
} ks_transfer;

/* A transfer with everything set that is the same for all requests. NULL: no memory, or an option
 * libcurl refuses. */
ks_transfer *ks_transfer_new(const ks_engine_options *options, ks_poller *poller);

void ks_transfer_free(ks_transfer *transfer);

/* Frees what is ours and leaves libcurl's part alone: in a forked child it is the parent's. */
void ks_transfer_forget(ks_transfer *transfer);

/* NULL, or what is wrong with the request. */
const char *ks_transfer_check(const ks_request *request);

/* Takes a copy of a checked request. False: no memory. */
bool ks_transfer_prepare(ks_transfer *transfer, const ks_request *request,
                         const ks_engine_options *options);

/* Whether a header line has this name, given in lower case. */
bool ks_header_named(const char *line, size_t len, const char *lower, size_t lower_len);

/* Sets the outcome libcurl reported. */
void ks_transfer_finish(ks_transfer *transfer, CURLcode code);

/* Sets an outcome of the engine's own; a transfer with libcurl is asked first how far it got. */
void ks_transfer_fail(ks_transfer *transfer, ks_reason reason, const char *message);

/* Wipes request and answer; the buffers stay for the next request. */
void ks_transfer_clear(ks_transfer *transfer);

#endif
