/* A platform that takes its time, for any number of connections:
 *
 *   slow_server DELAY_MS          prints the port it listens on; ends when its standard input does
 *
 * A request is answered DELAY_MS after its head has come, a request for a token at once. */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 65536
#define ANSWERS_MAX     65536
#define EVENTS_MAX      512

static const char token[] =
    "{\"code\":0,\"msg\":\"Success\",\"data\":{\"access_token\":\"token-of-the-"
    "benchmark\",\"expired_time\":4102444800000}}";
static const char card[] =
    "{\"code\":0,\"msg\":\"Success\",\"data\":{\"card_no\":\"C202605220001\",\"cardholder_no\":"
    "\"U202605220001\",\"card_type\":\"Virtual\",\"organization\":\"VISA\",\"status\":"
    "\"Activated\","
    "\"time\":1763880000123}}";

typedef struct {
    double due;
    int fd;
    unsigned generation;
} answer;

static unsigned generations[CONNECTIONS_MAX]; /* counts the connections that had a descriptor */
static int ends[CONNECTIONS_MAX];             /* how much of an empty line has come */
static answer answers[ANSWERS_MAX];           /* in the order in which they are due */
static size_t first, count;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void die(const char *why) {
    perror(why);
    exit(1);
}

static void send_json(int fd, const char *json, size_t size) {
    char text[1024];
    int length = snprintf(text, sizeof text,
                          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\n\r\n%s",
                          size, json);
    if (send(fd, text, (size_t)length, MSG_NOSIGNAL) != length) {
        shutdown(fd, SHUT_RDWR);
    }
}

static void send_due(double now) {
    while (count > 0 && answers[first].due <= now) {
        const answer *next = &answers[first];
        if (generations[next->fd] == next->generation) {
            send_json(next->fd, card, sizeof card - 1);
        }
        first = (first + 1) % ANSWERS_MAX;
        count--;
    }
}

static void take_request(int fd, const char *head, double due) {
    if (strstr(head, "/merchant/token")) {
        send_json(fd, token, sizeof token - 1);
    } else if (count < ANSWERS_MAX) {
        answers[(first + count++) % ANSWERS_MAX] = (answer){due, fd, generations[fd]};
    }
}

/* Heads fit into one read; where one does not, its end still counts. */
static void read_from(int fd, double due) {
    static const char empty_line[] = "\r\n\r\n";
    char text[8192];
    ssize_t size = recv(fd, text, sizeof text - 1, 0);
    if (size <= 0) {
        if (size == 0 || errno != EAGAIN) {
            generations[fd]++;
            close(fd);
        }
        return;
    }
    text[size] = '\0';
    for (ssize_t i = 0; i < size; i++) {
        bool fits = text[i] == empty_line[ends[fd]];
        ends[fd] = fits ? ends[fd] + 1 : text[i] == '\r' ? 1 : 0;
        if (ends[fd] == 4) {
            ends[fd] = 0;
            take_request(fd, text, due);
        }
    }
}

static void accept_all(int listener, int epoll_fd) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= CONNECTIONS_MAX) {
            close(fd);
            continue;
        }
        ends[fd] = 0;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd,
                  &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
    }
}

static int listen_somewhere(void) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof place;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&place, size) != 0 ||
        listen(listener, 4096) != 0 || getsockname(listener, (struct sockaddr *)&place, &size)) {
        die("slow_server");
    }
    printf("%d\n", ntohs(place.sin_port));
    fflush(stdout);
    return listener;
}

static int wait_ms(double now) {
    double left = count > 0 ? (answers[first].due - now) * 1000 : 10000;
    return left <= 0 ? 0 : (int)left + 1;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: slow_server DELAY_MS\n");
        return 1;
    }
    double delay = atof(argv[1]) / 1000;
    int listener = listen_somewhere(), epoll_fd = epoll_create1(0);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener,
              &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &(struct epoll_event){.events = EPOLLIN, .data.fd = 0});
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int ready = epoll_wait(epoll_fd, events, EVENTS_MAX, wait_ms(seconds()));
        double now = seconds();
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == 0) {
                return 0;
            }
            if (events[i].data.fd == listener) {
                accept_all(listener, epoll_fd);
            } else {
                read_from(events[i].data.fd, now + delay);
            }
        }
        send_due(now);
    }
}
