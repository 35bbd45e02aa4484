/* One request, written at most once.
 *
 * libcurl repeats a request by itself in three cases: a kept connection died before any byte of an
 * answer, an HTTP/2 server refused the stream, or it asked for HTTP/1.1 instead. The body may have
 * been read, and acted on, each time. Every one of these goes back to connecting and passes the
 * pre-request callback again before a byte is written, so that callback is a gate which opens once.
 * It also proves the opposite: while it has not opened, nothing of the request was written. */
#include "curl/transfer.h"

#include <stdlib.h>
#include <string.h>

#if LIBCURL_VERSION_NUM >= 0x075000
#define KS_HAVE_GATE 1
#else
#define KS_HAVE_GATE 0
#endif
#ifdef KS_NO_GATE
#undef KS_HAVE_GATE
#define KS_HAVE_GATE 0
#endif

/* What libcurl calls ------------------------------------------------------------------------ */

#if KS_HAVE_GATE
static int gate(void *data, char *peer, char *local, int peer_port, int local_port) {
    ks_transfer *transfer = data;
    (void)peer;
    (void)local;
    (void)peer_port;
    (void)local_port;
    if (transfer->written) {
        transfer->repeated = true;
        return CURL_PREREQFUNC_ABORT;
    }
    transfer->written = true;
    return CURL_PREREQFUNC_OK;
}
#endif

static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address) {
    ks_transfer *transfer = data;
    (void)purpose;
    if (transfer->written) { /* a repetition; the gate would stop it, but only once connected */
        transfer->repeated = true;
        return CURL_SOCKET_BAD;
    }
    transfer->opened = true;
    return ks_poller_open_socket(transfer->poller, address);
}

static size_t take_body(char *data, size_t size, size_t count, void *user) {
    ks_transfer *transfer = user;
    size_t len = size * count;
    if (len > transfer->max_response - transfer->body.len) {
        transfer->too_large = true;
        return 0;
    }
    if (!ks_bytes_reserve(&transfer->body, len)) {
        transfer->reason = KS_REASON_MEMORY;
        return 0;
    }
    ks_bytes_put(&transfer->body, data, len);
    return len;
}

bool ks_header_named(const char *line, size_t len, const char *lower, size_t lower_len) {
    if (len <= lower_len || line[lower_len] != ':') {
        return false;
    }
    for (size_t i = 0; i < lower_len; i++) {
        char c = line[i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c + 32) : c) != lower[i]) {
            return false;
        }
    }
    return true;
}

static bool blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The first of several counts, so that a trailer after the body can't replace what came before. */
static void keep(ks_kept_header *kept, const char *line, size_t len, size_t name_len) {
    size_t from = name_len + 1;
    while (from < len && blank(line[from])) {
        from++;
    }
    while (len > from && blank(line[len - 1])) {
        len--;
    }
    if (!kept->present && len - from <= sizeof kept->text) {
        memcpy(kept->text, line + from, len - from);
        kept->len = (unsigned char)(len - from);
        kept->present = true;
    }
}

/* By the first letter: most lines of an answer are none of these. */
static void keep_wanted(ks_transfer *transfer, const char *line, size_t len) {
    char first = len > 0 ? (char)(line[0] | ' ') : ' ';
    if (first == 'd' && ks_header_named(line, len, "date", 4)) {
        keep(&transfer->date, line, len, 4);
    } else if (first == 'r' && ks_header_named(line, len, "retry-after", 11)) {
        keep(&transfer->retry_after, line, len, 11);
    } else if (first == 'c' && ks_header_named(line, len, "content-type", 12)) {
        keep(&transfer->content_type, line, len, 12);
    }
}

static void drop_headers(ks_transfer *transfer) {
    transfer->date.present = false;
    transfer->retry_after.present = false;
    transfer->content_type.present = false;
}

static size_t take_header(char *line, size_t size, size_t count, void *user) {
    ks_transfer *transfer = user;
    size_t len = size * count;
    transfer->answering = true;
    if (len > KS_ANSWER_HEADERS_MAX - transfer->header_bytes) {
        transfer->too_large = true;
        return 0;
    }
    transfer->header_bytes += len;
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
        drop_headers(transfer); /* what came before belonged to an interim answer (1xx) */
    } else {
        keep_wanted(transfer, line, len);
    }
    return len;
}

/* Making one -------------------------------------------------------------------------------- */

static bool set_protocols(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
#else
    long allowed = CURLPROTO_HTTP | CURLPROTO_HTTPS;
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS, allowed) == CURLE_OK;
#endif
}

static bool set_callbacks(ks_transfer *transfer) {
    CURL *easy = transfer->easy;
    return
#if KS_HAVE_GATE
        curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, gate) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer) == CURLE_OK &&
#endif
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer) == CURLE_OK &&
        /* The poller, not the transfer: a kept connection outlives the one that opened it. */
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, ks_poller_close_socket) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, transfer->poller) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) == CURLE_OK;
}

static bool set_security(CURL *easy, const ks_engine_options *options) {
    return curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           (!options->ca_file ||
            curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file) == CURLE_OK) &&
           (!options->pinned_key ||
            curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, options->pinned_key) == CURLE_OK) &&
           set_protocols(easy) && curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK;
}

static bool set_connection(CURL *easy, const ks_engine_options *options) {
    long version = options->http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
    long connect_ms = options->connect_timeout_ms;
    bool set = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 15L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK;
    /* Without HTTP/2 in libcurl its refusal of 2TLS means 1.1, which is what is left. */
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, version);
    if (options->proxy) {
        set = set && curl_easy_setopt(easy, CURLOPT_PROXY, options->proxy) == CURLE_OK &&
              /* The environment's exceptions are to the environment's proxy. */
              curl_easy_setopt(easy, CURLOPT_NOPROXY, "") == CURLE_OK;
    }
    if (options->user_agent) {
        set = set && curl_easy_setopt(easy, CURLOPT_USERAGENT, options->user_agent) == CURLE_OK;
    }
    return set;
}

/* Refinements of newer libcurls; an older one does without. */
static void set_refinements(CURL *easy, const ks_engine_options *options) {
    /* Longer than any answer and it is refused by its Content-Length, before the body. */
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)options->max_response);
#if LIBCURL_VERSION_NUM >= 0x073E00
    /* libcurl keeps 64 KiB for each upload over TLS; requests here are far below the least. */
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
#endif
#if LIBCURL_VERSION_NUM >= 0x074000
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
#endif
#if LIBCURL_VERSION_NUM >= 0x074100
    /* Idle connections are dropped before the usual servers (60 s and more) drop them: a write that
     * meets one closing is a write in doubt. */
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, 50L);
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    /* Or ending a transfer would wait for the thread that resolves its name. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

ks_transfer *ks_transfer_new(const ks_engine_options *options, ks_poller *poller) {
    ks_transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer) {
        return NULL;
    }
    transfer->poller = poller;
    transfer->max_response = options->max_response;
    transfer->easy = curl_easy_init();
    if (!transfer->easy || !set_callbacks(transfer) || !set_security(transfer->easy, options) ||
        !set_connection(transfer->easy, options)) {
        ks_transfer_free(transfer);
        return NULL;
    }
    set_refinements(transfer->easy, options);
    return transfer;
}

void ks_transfer_forget(ks_transfer *transfer) {
    ks_bytes_free(&transfer->request);
    ks_bytes_free(&transfer->body);
    free(transfer);
}

void ks_transfer_free(ks_transfer *transfer) {
    curl_easy_cleanup(transfer->easy);
    ks_transfer_forget(transfer);
}

void ks_transfer_clear(ks_transfer *transfer) {
    ks_bytes_clear(&transfer->request);
    ks_bytes_clear(&transfer->body);
    drop_headers(transfer);
    transfer->body_len = transfer->header_bytes = 0;
    transfer->opened = transfer->written = transfer->repeated = false;
    transfer->answering = transfer->too_large = false;
    transfer->status = 0;
    transfer->reason = KS_REASON_NONE;
    transfer->reached = KS_REACHED_NOTHING;
    transfer->error[0] = '\0';
}

/* The outcome ------------------------------------------------------------------------------- */

const char *ks_reason_name(ks_reason reason) {
    static const char *const names[] = {
        "none", "invalid", "timeout",   "resolve",  "connect",   "tls",    "proxy",
        "send", "receive", "too_large", "protocol", "cancelled", "closed", "memory",
    };
    return names[reason];
}

const char *ks_reached_name(ks_reached reached) {
    static const char *const names[] = {
        "nothing", "resolved", "connected", "secured", "sending", "sent", "answering",
    };
    return names[reached];
}

static curl_off_t info(const ks_transfer *transfer, CURLINFO what) {
    curl_off_t value = 0;
    return curl_easy_getinfo(transfer->easy, what, &value) == CURLE_OK ? value : 0;
}

static long info_long(const ks_transfer *transfer, CURLINFO what) {
    long value = 0;
    return curl_easy_getinfo(transfer->easy, what, &value) == CURLE_OK ? value : 0;
}

/* Without the gate, as soon as libcurl had a connection it may have used it. */
static bool may_be_written(const ks_transfer *transfer) {
    return transfer->written ||
           (!KS_HAVE_GATE && (info(transfer, CURLINFO_CONNECT_TIME_T) > 0 ||
                              info(transfer, CURLINFO_PRETRANSFER_TIME_T) > 0 ||
                              info_long(transfer, CURLINFO_REQUEST_SIZE) > 0));
}

/* libcurl 7.88 dates the TCP connection only once TLS is done too: unless it says that no
 * connection came about, one may have. */
static ks_reached reached_before_writing(const ks_transfer *transfer, CURLcode code) {
    bool connected = info(transfer, CURLINFO_CONNECT_TIME_T) > 0 ||
                     (transfer->opened && code != CURLE_COULDNT_CONNECT);
    return info(transfer, CURLINFO_APPCONNECT_TIME_T) > 0 ? KS_REACHED_SECURED
           : connected                                    ? KS_REACHED_CONNECTED
           : transfer->opened                             ? KS_REACHED_RESOLVED
                                                          : KS_REACHED_NOTHING;
}

static ks_reached how_far(const ks_transfer *transfer, CURLcode code) {
    if (transfer->answering) {
        return KS_REACHED_ANSWERING;
    }
    if (!may_be_written(transfer)) {
        return reached_before_writing(transfer, code);
    }
    bool all = info_long(transfer, CURLINFO_REQUEST_SIZE) > 0 &&
               info(transfer, CURLINFO_SIZE_UPLOAD_T) >= (curl_off_t)transfer->body_len;
    /* A repetition starts libcurl's counters again: how much went the first time is lost. */
    return all || transfer->repeated ? KS_REACHED_SENT : KS_REACHED_SENDING;
}

static ks_reason reason_of_code(CURLcode code) {
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_LOGIN_DENIED:
        return KS_REASON_INVALID;
    case CURLE_OPERATION_TIMEDOUT:
        return KS_REASON_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
        return KS_REASON_RESOLVE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
        return KS_REASON_CONNECT;
    case CURLE_COULDNT_RESOLVE_PROXY:
#if LIBCURL_VERSION_NUM >= 0x074900
    case CURLE_PROXY:
#endif
        return KS_REASON_PROXY;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_USE_SSL_FAILED:
        return KS_REASON_TLS;
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
        return KS_REASON_SEND;
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
        return KS_REASON_RECEIVE;
    case CURLE_FILESIZE_EXCEEDED:
        return KS_REASON_TOO_LARGE;
    case CURLE_OUT_OF_MEMORY:
        return KS_REASON_MEMORY;
    default:
        return KS_REASON_PROTOCOL;
    }
}

static ks_reason reason_of(const ks_transfer *transfer, CURLcode code) {
    if (transfer->reason != KS_REASON_NONE) {
        return transfer->reason; /* a callback found it first */
    }
    if (transfer->too_large) {
        return KS_REASON_TOO_LARGE;
    }
    if (transfer->repeated) {
        return KS_REASON_RECEIVE;
    }
    long tunnel = info_long(transfer, CURLINFO_HTTP_CONNECTCODE);
    if (tunnel != 0 && tunnel / 100 != 2) {
        return KS_REASON_PROXY;
    }
    return reason_of_code(code);
}

/* libcurl quotes a proxy it can't make out, credentials and all. */
static bool may_tell_secrets(CURLcode code, const char *message) {
    return code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_NOT_BUILT_IN ||
           strchr(message, '@') != NULL;
}

static void set_message(ks_transfer *transfer, const char *message) {
    size_t len = strlen(message);
    if (len >= sizeof transfer->error) {
        len = sizeof transfer->error - 1;
    }
    memmove(transfer->error, message, len);
    transfer->error[len] = '\0';
    for (size_t i = 0; i < len; i++) { /* some of it the server wrote */
        if ((unsigned char)transfer->error[i] < ' ' || (unsigned char)transfer->error[i] > '~') {
            transfer->error[i] = ' ';
        }
    }
}

static const char *message_of(const ks_transfer *transfer, CURLcode code) {
    if (transfer->repeated) {
        return "the kept connection ended before any answer, and the request was not repeated";
    }
    if (transfer->too_large) {
        return "the answer is larger than allowed";
    }
    return transfer->error[0] == '\0' || may_tell_secrets(code, transfer->error)
               ? curl_easy_strerror(code)
               : transfer->error;
}

void ks_transfer_finish(ks_transfer *transfer, CURLcode code) {
    long status = info_long(transfer, CURLINFO_RESPONSE_CODE);
    if (code == CURLE_OK && status > 0) {
        transfer->status = status;
        return;
    }
    transfer->reached = how_far(transfer, code);
    transfer->reason = reason_of(transfer, code);
    set_message(transfer,
                code == CURLE_OK ? "the answer has no status" : message_of(transfer, code));
}

void ks_transfer_fail(ks_transfer *transfer, ks_reason reason, const char *message) {
    transfer->reached =
        transfer->state == KS_RUNNING ? how_far(transfer, CURLE_OK) : KS_REACHED_NOTHING;
    transfer->reason = reason;
    set_message(transfer, message);
}

bool ks_engine_guards_reuse(void) {
    return KS_HAVE_GATE;
}
