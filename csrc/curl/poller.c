/* libcurl's two callbacks only take notes here: of the sockets it waits for, applied to the epoll
 * set before the next wait, and of its timer. Calling back into libcurl from either would recurse.
 *
 * Applying late is also what makes a kept connection cheap. libcurl takes its interest in a socket
 * back when a transfer ends and declares it again when the next one starts on it; noted, the two
 * cancel out and the kernel hears nothing. An idle connection therefore stays in the set, until an
 * event (its closing) finds that nobody wants it. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */

#include "curl/poller.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#if KS_HAVE_EPOLL
#include <sys/epoll.h>
#include <sys/timerfd.h>
#endif

#define KS_EVENTS_PER_WAIT 128

int64_t ks_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_until(int64_t until) {
    if (until == KS_NEVER) {
        return -1;
    }
    int64_t left = until - ks_now();
    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

#if KS_HAVE_EPOLL

static int note_timer(CURLM *multi, long timeout_ms, void *data) {
    ks_poller *poller = data;
    (void)multi;
    poller->due = timeout_ms < 0 ? KS_NEVER : timeout_ms == 0 ? 0 : ks_now() + timeout_ms;
    return 0;
}

void ks_poller_init(ks_poller *poller) {
    *poller = (ks_poller){.due = KS_NEVER, .epoll_fd = -1, .timer_fd = -1, .armed = KS_NEVER};
}

static bool grow(ks_poller *poller, size_t least) {
    size_t count = poller->socket_count ? poller->socket_count : 64;
    while (count < least) {
        count *= 2;
    }
    /* Every descriptor is listed at most once, so a list as long as the table never fills up. */
    int *changes = realloc(poller->changes, count * sizeof *changes);
    if (!changes) {
        return false;
    }
    poller->changes = changes;
    ks_socket *sockets = realloc(poller->sockets, count * sizeof *sockets);
    if (!sockets) {
        return false;
    }
    for (size_t i = poller->socket_count; i < count; i++) {
        sockets[i] = (ks_socket){0};
    }
    poller->sockets = sockets;
    poller->socket_count = count;
    return true;
}

static ks_socket *entry(ks_poller *poller, int fd) {
    if ((size_t)fd >= poller->socket_count && !grow(poller, (size_t)fd + 1)) {
        return NULL;
    }
    return &poller->sockets[fd];
}

static void leave(ks_poller *poller, int fd) {
    struct epoll_event unused = {0};
    epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, fd, &unused);
    poller->sockets[fd].registered = 0;
}

static int note_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *unused) {
    ks_poller *poller = data;
    ks_socket *socket = entry(poller, fd);
    (void)easy;
    (void)unused;
    if (!socket) {
        return -1;
    }
    socket->wanted = (unsigned char)((what == CURL_POLL_IN      ? EPOLLIN
                                      : what == CURL_POLL_OUT   ? EPOLLOUT
                                      : what == CURL_POLL_INOUT ? EPOLLIN | EPOLLOUT
                                                                : 0));
    if (!socket->wanted && !socket->open && socket->registered) {
        leave(poller, fd); /* libcurl's own (its resolver's): it may be closed without our seeing */
        return 0;
    }
    if (!socket->changed) {
        socket->changed = true;
        poller->changes[poller->change_count++] = fd;
    }
    return 0;
}

static bool enter(ks_poller *poller, int fd, ks_socket *socket) {
    struct epoll_event event = {.events = socket->wanted, .data = {.fd = fd}};
    bool held = socket->registered != 0;
    if (epoll_ctl(poller->epoll_fd, held ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0 &&
        epoll_ctl(poller->epoll_fd, held ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0) {
        return false;
    }
    socket->registered = socket->wanted;
    return true;
}

static bool apply(ks_poller *poller) {
    bool applied = true;
    for (size_t i = 0; i < poller->change_count; i++) {
        int fd = poller->changes[i];
        ks_socket *socket = &poller->sockets[fd];
        socket->changed = false;
        if (socket->wanted && (socket->wanted != socket->registered || !socket->open)) {
            applied = enter(poller, fd, socket) && applied;
        }
    }
    poller->change_count = 0;
    return applied;
}

curl_socket_t ks_poller_open_socket(ks_poller *poller, const struct curl_sockaddr *address) {
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    ks_socket *noted = fd < 0 ? NULL : entry(poller, fd);
    if (!noted) {
        if (fd >= 0) {
            close(fd);
        }
        return CURL_SOCKET_BAD;
    }
    noted->open = true;
    noted->wanted = noted->registered = 0;
    return fd;
}

int ks_poller_close_socket(void *data, curl_socket_t fd) {
    ks_poller *poller = data;
    ks_socket *noted = entry(poller, fd);
    if (noted) {
        /* By name, not by closing: a forked child may hold the connection open, and it would stay
         * in our set, readable for ever, with no descriptor left to take it out by. */
        if (noted->registered) {
            leave(poller, fd);
        }
        noted->open = false;
        noted->wanted = 0;
    }
    return close(fd);
}

bool ks_poller_open(ks_poller *poller) {
    if (poller->epoll_fd >= 0) {
        return true;
    }
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    poller->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = poller->timer_fd}};
    if (poller->epoll_fd >= 0 && poller->timer_fd >= 0 &&
        epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->timer_fd, &event) == 0) {
        return true;
    }
    ks_poller_cleanup(poller);
    return false;
}

void ks_poller_join(ks_poller *poller, CURLM *multi) {
    poller->multi = multi;
    poller->due = KS_NEVER;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, note_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, poller);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, note_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, poller);
}

void ks_poller_cleanup(ks_poller *poller) {
    if (poller->timer_fd >= 0) {
        close(poller->timer_fd);
    }
    if (poller->epoll_fd >= 0) {
        close(poller->epoll_fd);
    }
    free(poller->sockets);
    free(poller->changes);
    ks_poller_init(poller);
}

void ks_poller_forget(ks_poller *poller) {
    /* Closing a copy says nothing to the peer and leaves the parent's set as it is; keeping it
     * would hold the parent's connections open after the parent closed them. */
    for (size_t fd = 0; fd < poller->socket_count; fd++) {
        if (poller->sockets[fd].open) {
            close((int)fd);
        }
    }
    ks_poller_cleanup(poller);
}

static bool arm(ks_poller *poller, int64_t due) {
    struct itimerspec when = {0};
    if (due != KS_NEVER) {
        when.it_value.tv_sec = (time_t)(due / 1000);
        when.it_value.tv_nsec = (long)(due % 1000) * 1000000;
        if (due == 0) {
            when.it_value.tv_nsec = 1; /* zero would mean: disarm */
        }
    }
    poller->armed = due;
    return timerfd_settime(poller->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0;
}

int ks_poller_fd(ks_poller *poller) {
    poller->shown = true;
    return poller->epoll_fd;
}

/* The timer's expiry is never read: it stays readable until it is set to another time. */
bool ks_poller_settle(ks_poller *poller, int64_t due) {
    if (!poller->shown) {
        return true;
    }
    due = earlier(due, poller->due);
    return apply(poller) && (poller->armed == due || arm(poller, due));
}

static CURLMcode handle(ks_poller *poller, const struct epoll_event *event) {
    int fd = event->data.fd, running;
    if (fd == poller->timer_fd) {
        return CURLM_OK; /* it only ends the wait */
    }
    const ks_socket *socket = &poller->sockets[fd];
    if (!socket->wanted) {
        if (socket->registered) {
            leave(poller, fd);
        }
        return CURLM_OK;
    }
    /* Broken counts as ready for whatever was wanted: the next read or write has the true error. */
    uint32_t ready = event->events & (EPOLLERR | EPOLLHUP) ? socket->wanted : event->events;
    int mask = (ready & EPOLLIN ? CURL_CSELECT_IN : 0) | (ready & EPOLLOUT ? CURL_CSELECT_OUT : 0);
    return curl_multi_socket_action(poller->multi, fd, mask, &running);
}

CURLMcode ks_poller_fire(ks_poller *poller) {
    int running;
    if (poller->due > 0 && (poller->due == KS_NEVER || poller->due > ks_now())) {
        return CURLM_OK;
    }
    poller->due = KS_NEVER;
    return curl_multi_socket_action(poller->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

CURLMcode ks_poller_wait(ks_poller *poller, int64_t until, bool *interrupted) {
    struct epoll_event events[KS_EVENTS_PER_WAIT];
    CURLMcode code = CURLM_OK;
    int wait = wait_until(earlier(until, poller->due));
    if (wait != 0 && poller->armed != KS_NEVER && !arm(poller, KS_NEVER)) {
        return CURLM_INTERNAL_ERROR; /* an expired one would end every wait at once */
    }
    if (!apply(poller)) {
        return CURLM_INTERNAL_ERROR;
    }
    int count = epoll_wait(poller->epoll_fd, events, KS_EVENTS_PER_WAIT, wait);
    *interrupted = count < 0 && errno == EINTR;
    for (int i = 0; i < count && code == CURLM_OK; i++) {
        code = handle(poller, &events[i]);
    }
    return code;
}

#else /* no epoll */

#define KS_BLIND_WAIT_MS 1000 /* where there is no end to a wait; curl wants one */

void ks_poller_init(ks_poller *poller) {
    *poller = (ks_poller){.due = KS_NEVER};
}

bool ks_poller_open(ks_poller *poller) {
    (void)poller;
    return true;
}

void ks_poller_join(ks_poller *poller, CURLM *multi) {
    poller->multi = multi;
    poller->due = KS_NEVER;
}

void ks_poller_cleanup(ks_poller *poller) {
    ks_poller_init(poller);
}

void ks_poller_forget(ks_poller *poller) {
    ks_poller_init(poller);
}

curl_socket_t ks_poller_open_socket(ks_poller *poller, const struct curl_sockaddr *address) {
    (void)poller;
    return socket(address->family, address->socktype, address->protocol);
}

int ks_poller_close_socket(void *data, curl_socket_t fd) {
    (void)data;
    return close(fd);
}

int ks_poller_fd(ks_poller *poller) {
    (void)poller;
    return -1;
}

bool ks_poller_settle(ks_poller *poller, int64_t due) {
    (void)poller;
    (void)due;
    return true;
}

/* Not needed: libcurl's own poll ends at once when its timer is due, and perform runs it. */
CURLMcode ks_poller_fire(ks_poller *poller) {
    (void)poller;
    return CURLM_OK;
}

static void ask_timer(ks_poller *poller) {
    long left = -1;
    curl_multi_timeout(poller->multi, &left);
    poller->due = left < 0 ? KS_NEVER : ks_now() + left;
}

static CURLMcode poll_multi(CURLM *multi, int wait, int *events) {
#if LIBCURL_VERSION_NUM >= 0x074200
    return curl_multi_poll(multi, NULL, 0, wait, events);
#else
    return curl_multi_wait(multi, NULL, 0, wait, events);
#endif
}

CURLMcode ks_poller_wait(ks_poller *poller, int64_t until, bool *interrupted) {
    int events = 0, running;
    ask_timer(poller);
    int wait = wait_until(earlier(until, poller->due));
    wait = wait < 0 ? KS_BLIND_WAIT_MS : wait;
    int64_t end = ks_now() + wait;
    CURLMcode code = poll_multi(poller->multi, wait, &events);
    if (code != CURLM_OK) {
        return code;
    }
    /* libcurl does not tell a signal from the end of the wait, but a signal comes before it. */
    *interrupted = events == 0 && ks_now() + 1 < end;
    code = curl_multi_perform(poller->multi, &running);
    ask_timer(poller);
    return code;
}

#endif
