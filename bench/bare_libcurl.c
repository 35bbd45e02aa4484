/* The yardstick: libcurl alone, as fast as it goes.
 *
 *   bare_libcurl URL CALLS IN_FLIGHT [epoll|poll]
 *
 * prints one line {"calls":…, "seconds":…, "per_second":…}; anything but CALLS answers of status
 * 200 ends it with 1.
 *
 * It is fair because it leaves out everything that may be left out: easy handles are made once and
 * added again as they are, with URL and headers set once, so nothing is set, copied or parsed by us
 * for a call; headers of an answer are not looked at, bodies are thrown away; nothing is verified,
 * logged, timed out or retried. What remains is libcurl and the kernel.
 *
 * Of libcurl's two ways to drive many handles the faster is the default: curl_multi_socket_action
 * with epoll, where interest in a socket is only told to the kernel when it differs from what the
 * kernel holds. curl_multi_perform with curl_multi_poll looks at every handle each time, which at
 * one in flight costs nothing and at 64 a good part of the speed. */
#define _POSIX_C_SOURCE 200809L

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS_MAX 65536
#define EVENTS_MAX  256

typedef struct {
    CURLM *multi;
    long started, finished, failed, calls;
    int epoll_fd;
    long timeout_ms; /* libcurl's; below 0: none */
} bench;

static unsigned char held[SOCKETS_MAX], wanted[SOCKETS_MAX];
static int changed[SOCKETS_MAX], changed_count;
static bool listed[SOCKETS_MAX];

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void die(const char *why) {
    fprintf(stderr, "bare_libcurl: %s\n", why);
    exit(1);
}

static size_t throw_away(char *data, size_t size, size_t count, void *unused) {
    (void)data;
    (void)unused;
    return size * count;
}

static int on_timer(CURLM *multi, long timeout_ms, void *data) {
    (void)multi;
    ((bench *)data)->timeout_ms = timeout_ms;
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *unused) {
    (void)easy;
    (void)data;
    (void)unused;
    if (fd >= SOCKETS_MAX) {
        return -1;
    }
    wanted[fd] = (unsigned char)((what & CURL_POLL_IN && what != CURL_POLL_REMOVE ? EPOLLIN : 0) |
                                 (what & CURL_POLL_OUT && what != CURL_POLL_REMOVE ? EPOLLOUT : 0));
    if (!listed[fd]) {
        listed[fd] = true;
        changed[changed_count++] = fd;
    }
    return 0;
}

static void tell_kernel(const bench *run) {
    for (int i = 0; i < changed_count; i++) {
        int fd = changed[i];
        listed[fd] = false;
        if (wanted[fd] && wanted[fd] != held[fd]) {
            struct epoll_event event = {.events = wanted[fd], .data = {.fd = fd}};
            epoll_ctl(run->epoll_fd, held[fd] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
            held[fd] = wanted[fd];
        }
    }
    changed_count = 0;
}

static CURL *make_handle(const char *url, struct curl_slist *headers) {
    CURL *easy = curl_easy_init();
    if (!easy) {
        die("no memory");
    }
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, throw_away);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    return easy;
}

static void start(bench *run, CURL *easy) {
    if (run->started < run->calls) {
        run->started++;
        curl_multi_add_handle(run->multi, easy);
    }
}

static void collect(bench *run) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(run->multi, &left))) {
        CURL *easy = message->easy_handle;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        run->failed += message->data.result != CURLE_OK || status != 200;
        run->finished++;
        curl_multi_remove_handle(run->multi, easy);
        start(run, easy);
    }
}

static void drive_by_epoll(bench *run) {
    struct epoll_event events[EVENTS_MAX];
    int running;
    while (run->finished < run->calls) {
        if (run->timeout_ms == 0) {
            run->timeout_ms = -1;
            curl_multi_socket_action(run->multi, CURL_SOCKET_TIMEOUT, 0, &running);
            collect(run); /* an answer may have come within that */
            continue;
        }
        tell_kernel(run);
        int count = epoll_wait(run->epoll_fd, events, EVENTS_MAX, (int)run->timeout_ms);
        if (count < 0 && errno != EINTR) {
            die("epoll_wait failed");
        }
        for (int i = 0; i < count; i++) {
            int mask = (events[i].events & ~(unsigned)EPOLLOUT ? CURL_CSELECT_IN : 0) |
                       (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
            curl_multi_socket_action(run->multi, events[i].data.fd, mask, &running);
        }
        if (count == 0) {
            curl_multi_socket_action(run->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        collect(run);
    }
}

static void drive_by_poll(bench *run) {
    int running;
    while (run->finished < run->calls) {
        curl_multi_perform(run->multi, &running);
        collect(run);
        if (run->finished < run->calls) {
            curl_multi_poll(run->multi, NULL, 0, 1000, NULL);
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 4) {
        die("usage: bare_libcurl URL CALLS IN_FLIGHT [epoll|poll]");
    }
    bool by_epoll = argc < 5 || strcmp(argv[4], "poll") != 0;
    long in_flight = strtol(argv[3], NULL, 10);
    bench run = {.calls = strtol(argv[2], NULL, 10), .timeout_ms = -1};
    struct curl_slist *headers = curl_slist_append(NULL, "Api-Key: 0123456789abcdef");
    headers = curl_slist_append(headers, "Access-Token: 0123456789abcdef0123456789abcdef");
    headers = curl_slist_append(headers, "Timestamp: 1700000000000");
    headers = curl_slist_append(headers, "Content-Type: application/json");

    curl_global_init(CURL_GLOBAL_DEFAULT);
    run.multi = curl_multi_init();
    run.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!run.multi || run.epoll_fd < 0) {
        die("no memory or descriptor");
    }
    curl_multi_setopt(run.multi, CURLMOPT_MAXCONNECTS, in_flight);
    if (by_epoll) {
        curl_multi_setopt(run.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(run.multi, CURLMOPT_TIMERFUNCTION, on_timer);
        curl_multi_setopt(run.multi, CURLMOPT_TIMERDATA, &run);
    }
    CURL **handles = calloc((size_t)in_flight, sizeof *handles);
    double from = seconds();
    for (long i = 0; handles && i < in_flight; i++) {
        handles[i] = make_handle(argv[1], headers);
        start(&run, handles[i]);
    }
    if (by_epoll) {
        drive_by_epoll(&run);
    } else {
        drive_by_poll(&run);
    }
    double took = seconds() - from;
    printf("{\"calls\": %ld, \"seconds\": %.3f, \"per_second\": %.0f}\n", run.finished, took,
           (double)run.finished / took);
    for (long i = 0; handles && i < in_flight; i++) {
        curl_easy_cleanup(handles[i]);
    }
    curl_multi_cleanup(run.multi);
    curl_slist_free_all(headers);
    free(handles);
    return run.failed ? 1 : 0;
}
