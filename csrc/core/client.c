#include "core/client.h"

#include <stdlib.h>

static const char token_path[] = "/merchant/token";

static bool prepare_sharing(ks_client *client, const ks_client_options *options) {
    client->shares = options->secret.size > 0;
    return !client->shares ||
           ks_seal_init(&client->seal, options->secret, options->address, options->api_key);
}

ks_client *ks_client_new(const ks_client_options *options) {
    ks_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return NULL;
    client->references = 1;
    ks_text_init(&client->address, KS_CLIENT_OPTION_MAX, KS_TEXT_PLAIN);
    ks_text_init(&client->token_url, KS_CLIENT_OPTION_MAX + sizeof token_path, KS_TEXT_PLAIN);
    ks_text_init(&client->api_key, KS_CLIENT_OPTION_MAX, KS_TEXT_SECRET);
    ks_text_init(&client->language, KS_CLIENT_OPTION_MAX, KS_TEXT_PLAIN);
    ks_clock_init(&client->clock);
    ks_token_init(&client->token);
    client->retry =
        options->retry != NULL ? ks_retry_acquire(options->retry) : ks_retry_new(options->seed);
    if (client->retry == NULL || !ks_text_append_span(&client->address, options->address) ||
        !ks_text_append_span(&client->token_url, options->address) ||
        !ks_text_append(&client->token_url, token_path, sizeof token_path - 1) ||
        !ks_text_append_span(&client->api_key, options->api_key) ||
        !ks_text_append_span(&client->language, options->language) ||
        !prepare_sharing(client, options)) {
        ks_client_release(client);
        return NULL;
    }
    return client;
}

ks_client *ks_client_acquire(ks_client *client) {
    client->references++;
    return client;
}

void ks_client_forked(ks_client *client, uint64_t seed) {
    ks_token_abandon(&client->token, client->token.ticket);
    client->retry->random = seed;
}

void ks_client_release(ks_client *client) {
    if (client == NULL || --client->references > 0)
        return;
    ks_text_cleanup(&client->address);
    ks_text_cleanup(&client->token_url);
    ks_text_cleanup(&client->api_key);
    ks_text_cleanup(&client->language);
    ks_token_cleanup(&client->token);
    ks_seal_cleanup(&client->seal);
    ks_retry_release(client->retry);
    free(client);
}
