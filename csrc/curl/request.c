/* From a request to what libcurl is told: checked, copied into one block, and set on the easy
 * handle as far as it differs from the request before. */
#include "curl/transfer.h"

#include <string.h>

static bool span_is(ks_span span, const char *text) {
    size_t len = strlen(text);
    return span.size == len && memcmp(span.data, text, len) == 0;
}

/* RFC 9110, section 5.6.2: letters, digits and !#$%&'*+-.^_`|~, as a bit for each byte. */
static bool token_char(unsigned char c) {
    static const uint32_t tokens[8] = {0, 0x03FF6CFA, 0xC7FFFFFE, 0x57FFFFFF};
    return (tokens[c / 32] >> c % 32 & 1) != 0;
}

static bool has_byte(ks_span span, char byte) {
    return span.size > 0 && memchr(span.data, byte, span.size) != NULL;
}

static const char *check_method(ks_span method) {
    for (size_t i = 0; i < method.size; i++) {
        if (method.data[i] < 'A' || method.data[i] > 'Z') {
            return "the method is not a word of capital letters";
        }
    }
    return method.size > 0 && method.size < 16 ? NULL : "the method is empty or too long";
}

static const char *check_url(ks_span url) {
    if (url.size > KS_URL_MAX) {
        return "the URL is too long";
    }
    if (!(url.size > 8 && memcmp(url.data, "https://", 8) == 0) &&
        !(url.size > 7 && memcmp(url.data, "http://", 7) == 0)) {
        return "the URL does not begin with https:// or http:// and a host";
    }
    for (size_t i = 0; i < url.size; i++) {
        if (url.data[i] <= ' ' || url.data[i] > '~') {
            return "the URL has a byte that must be percent-encoded";
        }
    }
    return NULL;
}

static const char *check_header(const ks_header *header) {
    if (header->name.size == 0) {
        return "a header has no name";
    }
    for (size_t i = 0; i < header->name.size; i++) {
        if (!token_char((unsigned char)header->name.data[i])) {
            return "a header name has a byte that is not allowed there";
        }
    }
    if (has_byte(header->value, '\r') || has_byte(header->value, '\n') ||
        has_byte(header->value, '\0')) {
        return "a header value has a line break or a NUL";
    }
    return NULL;
}

static size_t header_room(const ks_header *header) {
    return header->name.size + header->value.size + 3; /* ": " or ";", and the NUL */
}

static const char *check_headers(const ks_request *request) {
    size_t room = 0;
    if (request->header_count > KS_HEADERS_MAX) {
        return "there are too many headers";
    }
    for (size_t i = 0; i < request->header_count; i++) {
        const ks_header *header = &request->headers[i];
        const char *wrong = check_header(header);
        if (wrong) {
            return wrong;
        }
        if (header->value.size > KS_REQUEST_HEADERS_MAX || header->name.size > KS_URL_MAX) {
            return "a header is too long";
        }
        room += header_room(header);
    }
    return room <= KS_REQUEST_HEADERS_MAX ? NULL : "the headers are too long";
}

const char *ks_transfer_check(const ks_request *request) {
    const char *wrong = check_method(request->method);
    if (!wrong) {
        wrong = check_url(request->url);
    }
    if (!wrong) {
        wrong = check_headers(request);
    }
    if (!wrong && request->body.size > KS_REQUEST_BODY_MAX) {
        wrong = "the body is too long";
    }
    if (!wrong && request->timeout_ms < 1) {
        wrong = "the time-out is not positive";
    }
    return wrong;
}

static struct curl_slist *link_header(ks_transfer *transfer, size_t at, char *text) {
    struct curl_slist *node = &transfer->headers[at];
    node->data = text;
    node->next = at > 0 ? node - 1 : NULL;
    return node;
}

static char *put_header(ks_bytes *block, const ks_header *header) {
    char *text = block->data + block->len;
    ks_bytes_put(block, header->name.data, header->name.size);
    if (header->value.size > 0) {
        ks_bytes_put(block, ": ", 2);
        ks_bytes_put(block, header->value.data, header->value.size);
    } else {
        ks_bytes_put(block, ";", 1); /* libcurl's way to write a header that is empty on purpose */
    }
    ks_bytes_put(block, "", 1);
    return text;
}

/* One block holds the lines, the nodes point into it: no allocation for each header. */
static struct curl_slist *put_headers(ks_transfer *transfer, const ks_request *request,
                                      bool has_body) {
    static char no_expect[] = "Expect:", no_content_type[] = "Content-Type:";
    struct curl_slist *list = NULL;
    bool typed = false;
    size_t at = 0;
    for (; at < request->header_count; at++) {
        const ks_header *header = &request->headers[at];
        char *text = put_header(&transfer->request, header);
        typed = typed || ks_header_named(text, header_room(header), "content-type", 12);
        list = link_header(transfer, at, text);
    }
    if (has_body) {
        list = link_header(transfer, at++, no_expect);
    }
    if (has_body && !typed) { /* or libcurl calls it a form */
        list = link_header(transfer, at++, no_content_type);
    }
    return list;
}

static CURLcode set_shape(ks_transfer *transfer, const ks_request *request, bool has_body) {
    static const char *const usual[] = {NULL, "GET", "HEAD", "POST"};
    ks_shape shape = has_body                           ? KS_SHAPE_BODY
                     : span_is(request->method, "HEAD") ? KS_SHAPE_HEAD
                                                        : KS_SHAPE_GET;
    CURLcode code = CURLE_OK;
    if (shape != transfer->shape) {
        code = shape == KS_SHAPE_BODY   ? curl_easy_setopt(transfer->easy, CURLOPT_POST, 1L)
               : shape == KS_SHAPE_HEAD ? curl_easy_setopt(transfer->easy, CURLOPT_NOBODY, 1L)
                                        : curl_easy_setopt(transfer->easy, CURLOPT_HTTPGET, 1L);
        transfer->shape = shape;
    }
    bool name = !span_is(request->method, usual[shape]);
    if (code == CURLE_OK && (name || transfer->named_method)) {
        char method[16] = {0};
        memcpy(method, request->method.data, request->method.size);
        code = curl_easy_setopt(transfer->easy, CURLOPT_CUSTOMREQUEST, name ? method : NULL);
        transfer->named_method = name;
    }
    return code;
}

static CURLcode set_body(ks_transfer *transfer, ks_span body) {
    const char *data = transfer->request.data + transfer->request.len;
    ks_bytes_put(&transfer->request, body.data, body.size);
    transfer->body_len = body.size;
    CURLcode code =
        curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.size);
    return code != CURLE_OK ? code : curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, data);
}

/* Over TLS a burst waits for the first connection to tell whether it carries them all. Without TLS
 * libcurl would learn it only from the first answer. */
static CURLcode set_waiting(ks_transfer *transfer, ks_span url, bool http2) {
    bool wait = http2 && url.data[4] == 's';
    if (wait == transfer->waits_for_h2) {
        return CURLE_OK;
    }
    transfer->waits_for_h2 = wait;
    return curl_easy_setopt(transfer->easy, CURLOPT_PIPEWAIT, wait ? 1L : 0L);
}

static CURLcode set_freshness(ks_transfer *transfer, ks_span method) {
    bool fresh = !ks_engine_guards_reuse() && !span_is(method, "GET") && !span_is(method, "HEAD");
    if (fresh == transfer->fresh) {
        return CURLE_OK;
    }
    transfer->fresh = fresh;
    CURLcode code = curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
    return code != CURLE_OK
               ? code
               : curl_easy_setopt(transfer->easy, CURLOPT_FORBID_REUSE, fresh ? 1L : 0L);
}

static CURLcode set_url(ks_transfer *transfer, ks_span url) {
    char *text = transfer->request.data + transfer->request.len;
    ks_bytes_put(&transfer->request, url.data, url.size);
    ks_bytes_put(&transfer->request, "", 1);
    return curl_easy_setopt(transfer->easy, CURLOPT_URL, text);
}

static bool reserve_request(ks_transfer *transfer, const ks_request *request) {
    size_t room = request->url.size + 1 + request->body.size;
    for (size_t i = 0; i < request->header_count; i++) {
        room += header_room(&request->headers[i]);
    }
    return ks_bytes_reserve(&transfer->request, room);
}

bool ks_transfer_prepare(ks_transfer *transfer, const ks_request *request,
                         const ks_engine_options *options) {
    ks_span method = request->method;
    bool has_body = request->body.data || span_is(method, "POST") || span_is(method, "PUT") ||
                    span_is(method, "PATCH");
    if (!reserve_request(transfer, request)) {
        return false;
    }
    struct curl_slist *headers = put_headers(transfer, request, has_body);
    return set_shape(transfer, request, has_body) == CURLE_OK &&
           (!has_body || set_body(transfer, request->body) == CURLE_OK) &&
           set_url(transfer, request->url) == CURLE_OK &&
           set_waiting(transfer, request->url, options->http2) == CURLE_OK &&
           set_freshness(transfer, method) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
}
