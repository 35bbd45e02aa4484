/* What libcurl itself takes for transfers in flight:
 *
 *   bare_memory URL TRANSFERS        prints {"kib_per_call":…}
 *
 * Each transfer is an easy handle with URL, headers and a connection of its own, in one multi; the
 * memory is this process's, before and while all of them wait for their answers. */
#define _POSIX_C_SOURCE 200809L

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static long kib(void) {
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2) {
        exit(1);
    }
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static size_t throw_away(char *data, size_t size, size_t count, void *unused) {
    (void)data;
    (void)unused;
    return size * count;
}

static void add(CURLM *multi, const char *url) {
    struct curl_slist *headers = curl_slist_append(NULL, "Api-Key: bench");
    headers = curl_slist_append(headers, "Access-Token: token-of-the-benchmark");
    headers = curl_slist_append(headers, "Timestamp: 1763880000123");
    headers = curl_slist_append(headers, "Content-Type: application/json");
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, throw_away);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_multi_add_handle(multi, easy);
}

/* Moves what can be moved; how many transfers have not ended. */
static int move(CURLM *multi) {
    int running = 0;
    curl_multi_poll(multi, NULL, 0, 20, NULL);
    curl_multi_perform(multi, &running);
    return running;
}

int main(int argc, char **argv) {
    int transfers = argc == 3 ? atoi(argv[2]) : 0;
    if (transfers < 1) {
        fprintf(stderr, "usage: bare_memory URL TRANSFERS\n");
        return 1;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)transfers);
    long before = kib(), most = 0;
    for (int i = 0; i < transfers; i++) {
        add(multi, argv[1]);
    }
    int running;
    do {
        running = move(multi);
        long now = kib();
        most = now > most ? now : most;
    } while (running == transfers);
    printf("{\"kib_per_call\": %.2f}\n", (double)(most - before) / transfers);
    return 0;
}
