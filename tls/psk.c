/* SPDX-License-Identifier: BSD-3-Clause */
/* psk.c - keys that both ends know beforehand: lines of identity:hex */
#include "psk.h"

#include "names.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_BYTES 1024
#define KEYS_MAX   4096

const char *psk_fault_text(enum psk_fault fault)
{
    static const char *const texts[] = {
        [PSK_SOUND] = "sound",
        [PSK_LONG_LINE] = "longer than a key can be",
        [PSK_FORM] = "not of the form identity:key",
        [PSK_IDENTITY] = "an identity is of 1 to 127 bytes",
        [PSK_LENGTH] = "a key is of 32 to 512 hexadecimal digits",
        [PSK_NO_HEX] = "the key is not hexadecimal",
        [PSK_TWICE] = "this identity has a key already",
        [PSK_TOO_MANY] = "too many keys",
    };

    return texts[fault];
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum psk_fault take_hex(const char *hex, struct psk_key *key)
{
    size_t digits = strlen(hex);

    if (digits % 2 || digits / 2 < PSK_BYTES_MIN || digits / 2 > PSK_BYTES_MAX)
        return PSK_LENGTH;
    for (size_t i = 0; i < digits / 2; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return PSK_NO_HEX;
        key->bytes[i] = (uint8_t)(high << 4 | low);
    }
    key->count = digits / 2;
    return PSK_SOUND;
}

/* The last ':' parts identity and key. */
static enum psk_fault take_line(char *line, struct psk_key *key)
{
    char *colon = strrchr(line, ':');

    if (!colon)
        return PSK_FORM;
    *colon = '\0';
    if (colon == line || strlen(line) > PSK_IDENTITY_MAX)
        return PSK_IDENTITY;
    memcpy(key->identity, line, strlen(line) + 1);
    return take_hex(colon + 1, key);
}

/* Returns what is wrong with the key, or a negative errno. */
static int add(struct psk_file *file, const struct psk_key *key)
{
    struct psk_key *grown;

    if (psk_find(file, key->identity, strlen(key->identity)))
        return PSK_TWICE;
    if (file->count == KEYS_MAX)
        return PSK_TOO_MANY;
    grown = malloc((file->count + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    if (file->count)
        memcpy(grown, file->keys, file->count * sizeof(*grown));
    grown[file->count] = *key;
    if (file->keys)
        OPENSSL_cleanse(file->keys, file->count * sizeof(*grown));
    free(file->keys);
    file->keys = grown;
    file->count++;
    return PSK_SOUND;
}

/* Passes over the rest of a line. */
static void skip_line(FILE *stream)
{
    int c;

    do
        c = getc(stream);
    while (c != '\n' && c != EOF);
}

/* One line, which is cut up.  Returns what is wrong with it, or a negative errno. */
static int take(struct psk_file *file, char line[LINE_BYTES], FILE *stream, struct psk_key *key)
{
    size_t bytes = strlen(line);
    int fault;

    if (bytes == LINE_BYTES - 1 && line[bytes - 1] != '\n') {
        skip_line(stream);
        return PSK_LONG_LINE;
    }
    while (bytes > 0 && (line[bytes - 1] == '\n' || line[bytes - 1] == '\r' || line[bytes - 1] == ' '))
        line[--bytes] = '\0';
    if (bytes == 0 || line[0] == '#')
        return PSK_SOUND;
    fault = take_line(line, key);
    return fault ? fault : add(file, key);
}

static int read_lines(struct psk_file *file, FILE *stream, psk_wrong *wrong, void *opaque, struct ferry_error *err)
{
    char line[LINE_BYTES];
    struct psk_key key = { 0 };
    int ret = 0;

    for (unsigned number = 1; ret == 0 && fgets(line, sizeof(line), stream); number++) {
        int fault = take(file, line, stream, &key);

        if (fault < 0)
            ret = ferry_error_set(err, fault, "%s: no memory for the keys", file->path);
        else if (fault)
            ret = wrong(opaque, file->path, number, (enum psk_fault)fault);
    }
    OPENSSL_cleanse(line, sizeof(line));
    OPENSSL_cleanse(&key, sizeof(key));
    if (ret == 0 && ferror(stream))
        ret = names_file_error(file->path, EIO, err);
    return ret;
}

int psk_read(struct psk_file *file, const char *path, psk_wrong *wrong, void *opaque, struct ferry_error *err)
{
    FILE *stream;
    int ret;

    file->path = psk_path(path);
    if (!file->path)
        return ferry_error_set(err, -ENOMEM, "%s: no memory for its name", path);
    stream = fopen(file->path, "re");
    if (!stream)
        return names_file_error(file->path, errno, err);
    setvbuf(stream, NULL, _IONBF, 0); /* no copy of the keys stays behind in a buffer */
    ret = read_lines(file, stream, wrong, opaque, err);
    fclose(stream);
    return ret;
}

static int refuse(void *opaque, const char *path, unsigned line, enum psk_fault fault)
{
    return ferry_error_set_code(opaque, FERRY_E_TLS_CREDENTIALS, -EINVAL, "%s: line %u: %s", path, line,
                                psk_fault_text(fault));
}

int psk_load(struct psk_file *file, const char *path, struct ferry_error *err)
{
    int ret = psk_read(file, path, refuse, err, err);

    if (ret == 0 && file->count == 0)
        ret = ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -EINVAL, "%s: there is no key in it", file->path);
    return ret;
}

char *psk_path(const char *path)
{
    struct stat stat_of;

    return stat(path, &stat_of) == 0 && S_ISDIR(stat_of.st_mode) ? names_join(path, PSK_FILE) : strdup(path);
}

const struct psk_key *psk_find(const struct psk_file *file, const char *identity, size_t bytes)
{
    for (size_t i = 0; i < file->count; i++)
        if (strlen(file->keys[i].identity) == bytes && !memcmp(file->keys[i].identity, identity, bytes))
            return &file->keys[i];
    return NULL;
}

void psk_clear(struct psk_file *file)
{
    if (file->keys)
        OPENSSL_cleanse(file->keys, file->count * sizeof(*file->keys));
    free(file->keys);
    free(file->path);
    *file = (struct psk_file){ 0 };
}
