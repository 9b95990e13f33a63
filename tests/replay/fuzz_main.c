/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz_main.c - a fuzz target as an ordinary test: each file of its corpus, whole and cut, and with every byte changed
 *
 * To look for more:  clang -fsanitize=fuzzer,address instead of this file.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1u << 20)

/* From memory of exactly that length, so that a sanitizer sees a step too far. */
static void run(const uint8_t *data, size_t bytes)
{
    uint8_t *exact = malloc(bytes + !bytes);

    if (!exact)
        abort();
    memcpy(exact, data, bytes);
    LLVMFuzzerTestOneInput(exact, bytes);
    free(exact);
}

static void run_variants(uint8_t *data, size_t bytes)
{
    size_t step = bytes / 2000 + 1;

    run(data, bytes);
    for (size_t at = 0; at < bytes; at += step) {
        uint8_t was = data[at];

        run(data, at);
        for (unsigned bit = 0; bit < 8; bit++) {
            data[at] = (uint8_t)(was ^ 1 << bit);
            run(data, bytes);
        }
        data[at] = was;
    }
}

static void run_file(const char *folder, const char *name)
{
    static uint8_t data[INPUT_MAX];
    char path[4096];
    FILE *file;
    size_t bytes;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    bytes = fread(data, 1, sizeof(data), file);
    fclose(file);
    run_variants(data, bytes);
}

int main(int argc, char **argv)
{
    unsigned files = 0;

    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        struct dirent *entry;

        while (folder && (entry = readdir(folder))) {
            if (entry->d_name[0] == '.')
                continue;
            run_file(argv[i], entry->d_name);
            files++;
        }
        if (folder)
            closedir(folder);
    }
    printf("%u files\n", files);
    return files > 0 ? 0 : 1;
}
