/* Runs one target over the files named, without libFuzzer: what has once been found, or found worth
 * trying, stays tried in every test run. */
#include "check.h"

enum { FILE_MAX = 1024 * 1024 };

static void replay(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "replay: cannot open %s\n", path);
        exit(1);
    }
    /* As large as the file, so that reading past its end is seen. */
    static uint8_t content[FILE_MAX];
    size_t size = fread(content, 1, sizeof content, file);
    fclose(file);
    uint8_t *copy = malloc(size + (size == 0));
    if (copy == NULL)
        exit(1);
    memcpy(copy, content, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

int main(int count, char **paths) {
    for (int i = 1; i < count; i++)
        replay(paths[i]);
    printf("%d files\n", count - 1);
    return count > 1 ? 0 : 1;
}
