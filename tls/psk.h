/* SPDX-License-Identifier: BSD-3-Clause */
/* psk.h - keys that both ends know beforehand: lines of identity:hex */
#ifndef TLS_PSK_H
#define TLS_PSK_H

#include <ferry/error.h>
#include <stddef.h>
#include <stdint.h>

#define PSK_IDENTITY_MAX 127
#define PSK_BYTES_MIN    16 /* less can be guessed */
#define PSK_BYTES_MAX    256
#define PSK_FILE         "keys.psk"

struct psk_key {
    char identity[PSK_IDENTITY_MAX + 1];
    uint8_t bytes[PSK_BYTES_MAX];
    size_t count;
};

struct psk_file {
    char *path;
    struct psk_key *keys;
    size_t count;
};

/**
 * psk_load() - read a file of keys
 * @path: the file, or a folder with keys.psk in it
 * @file: zeroed
 *
 * Empty lines, and lines that begin with '#', are passed over.  Messages never quote a key.
 */
int psk_load(struct psk_file *file, const char *path, struct ferry_error *err);

/* @path itself, or keys.psk in it where it is a folder; the caller's, NULL: no memory. */
char *psk_path(const char *path);

/* What can be wrong with a line. */
enum psk_fault {
    PSK_SOUND = 0,
    PSK_LONG_LINE,
    PSK_FORM,
    PSK_IDENTITY,
    PSK_LENGTH,
    PSK_NO_HEX,
    PSK_TWICE,
    PSK_TOO_MANY,
};

/* "not of the form identity:key" */
const char *psk_fault_text(enum psk_fault fault);

/* A line of @path is wrong.  What is not 0 ends the reading, which returns it. */
typedef int psk_wrong(void *opaque, const char *path, unsigned line, enum psk_fault fault);

/* psk_load() for who wants to hear of every line that is wrong; the others are loaded, may be none. */
int psk_read(struct psk_file *file, const char *path, psk_wrong *wrong, void *opaque, struct ferry_error *err);

/* The key of @identity, or NULL. */
const struct psk_key *psk_find(const struct psk_file *file, const char *identity, size_t bytes);

/* Forgets the keys, too. */
void psk_clear(struct psk_file *file);

#endif
