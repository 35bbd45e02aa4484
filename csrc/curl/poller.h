/* Where an engine waits: libcurl's sockets and timer behind one descriptor. Private to the engine.
 *
 * With epoll: a private epoll set that holds libcurl's sockets and a timerfd. Without: curl's own
 * poll, and no descriptor. Times are milliseconds of a monotonic clock. */
#ifndef KS_CURL_POLLER_H
#define KS_CURL_POLLER_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__linux__) && !defined(KS_NO_EPOLL)
#define KS_HAVE_EPOLL 1
#else
#define KS_HAVE_EPOLL 0
#endif

#define KS_NEVER INT64_MAX

typedef struct {
    unsigned char wanted;     /* what libcurl waits for: EPOLLIN, EPOLLOUT */
    unsigned char registered; /* what the epoll set holds */
    bool open;                /* we opened it, so we see it closed */
    bool changed;             /* listed in `changes` */
} ks_socket;

typedef struct {
    CURLM *multi;
    int64_t due; /* when libcurl asked to be called */
#if KS_HAVE_EPOLL
    int epoll_fd, timer_fd;
    int64_t armed;      /* what the timerfd is set to */
    bool shown;         /* a host waits on the descriptor: keep the timerfd true */
    ks_socket *sockets; /* by descriptor */
    int *changes;
    size_t socket_count, change_count;
#endif
} ks_poller;

int64_t ks_now(void);

/* An empty poller; nothing is opened. */
void ks_poller_init(ks_poller *poller);

/* Opens the descriptors unless they are. False: none were to be had. */
bool ks_poller_open(ks_poller *poller);

/* From now on an open poller waits for `multi`; one after the other is allowed. */
void ks_poller_join(ks_poller *poller, CURLM *multi);

/* After the multi is gone. The poller is empty again. */
void ks_poller_cleanup(ks_poller *poller);

/* In a forked child: closes its copies of the descriptors and touches nothing they refer to. */
void ks_poller_forget(ks_poller *poller);

/* Runs libcurl's timer if it is due. Transfers may finish by that alone: look before waiting. */
CURLMcode ks_poller_fire(ks_poller *poller);

/* Waits until there is an event, libcurl's timer is due, or it is `until`, and handles a bounded
 * number of events. *interrupted: a signal ended the wait. */
CURLMcode ks_poller_wait(ks_poller *poller, int64_t until, bool *interrupted);

/* The descriptor, kept readable from `due` on by each settle from now on; -1: none. */
int ks_poller_fd(ks_poller *poller);
bool ks_poller_settle(ks_poller *poller, int64_t due);

/* For libcurl's callbacks: opens a socket for this poller, and closes one of it (`data`). */
curl_socket_t ks_poller_open_socket(ks_poller *poller, const struct curl_sockaddr *address);
int ks_poller_close_socket(void *data, curl_socket_t fd);

#endif
