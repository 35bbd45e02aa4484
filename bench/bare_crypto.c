/* The limits: libcrypto alone.
 *
 *   bare_crypto
 *
 * prints one line of JSON: microseconds for an HMAC-SHA256 of 360 bytes with the key already set up
 * (the hash states behind the key are copied, not computed again), and for decrypting 144 bytes of
 * AES-256 in ECB with a context that keeps its key. */
#define _POSIX_C_SOURCE 200809L

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 1000000, MESSAGE = 360, CIPHERTEXT = 144 };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void need(int ok) {
    if (ok != 1) {
        fprintf(stderr, "bare_crypto: libcrypto failed\n");
        exit(1);
    }
}

static EVP_MD_CTX *begun(unsigned char pad) {
    unsigned char block[64];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    memset(block, pad, sizeof block);
    need(EVP_DigestInit_ex(context, EVP_sha256(), NULL));
    need(EVP_DigestUpdate(context, block, sizeof block));
    return context;
}

static double hmac(void) {
    unsigned char message[MESSAGE] = {1}, digest[32];
    EVP_MD_CTX *inner = begun(0x36), *outer = begun(0x5c), *work = EVP_MD_CTX_new();
    double from = seconds();
    for (int i = 0; i < ROUNDS; i++) {
        need(EVP_MD_CTX_copy_ex(work, inner));
        need(EVP_DigestUpdate(work, message, sizeof message));
        need(EVP_DigestFinal_ex(work, digest, NULL));
        need(EVP_MD_CTX_copy_ex(work, outer));
        need(EVP_DigestUpdate(work, digest, sizeof digest));
        need(EVP_DigestFinal_ex(work, digest, NULL));
        message[0] = digest[0];
    }
    double spent = seconds() - from;
    EVP_MD_CTX_free(inner);
    EVP_MD_CTX_free(outer);
    EVP_MD_CTX_free(work);
    return spent * 1e6 / ROUNDS;
}

static double decrypt(void) {
    unsigned char key[32] = {7}, text[CIPHERTEXT] = {1}, plain[CIPHERTEXT + 16];
    int length = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    need(EVP_DecryptInit_ex(context, EVP_aes_256_ecb(), NULL, key, NULL));
    need(EVP_CIPHER_CTX_set_padding(context, 0)); /* there is no padding in zeros */
    double from = seconds();
    for (int i = 0; i < ROUNDS; i++) {
        need(EVP_DecryptInit_ex(context, NULL, NULL, NULL, NULL));
        need(EVP_DecryptUpdate(context, plain, &length, text, sizeof text));
        text[0] = plain[0];
    }
    double spent = seconds() - from;
    EVP_CIPHER_CTX_free(context);
    return spent * 1e6 / ROUNDS;
}

int main(void) {
    printf("{\"hmac\": %.4f, \"decrypt\": %.4f}\n", hmac(), decrypt());
    return 0;
}
