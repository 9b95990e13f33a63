/* SPDX-License-Identifier: BSD-3-Clause */
/* mappings.c - what the kernel says of this process's memory: /proc/self/smaps
 *
 *      7f0000000000-7f0040000000 rw-s 00000000 00:01 1234   /memfd:ram (deleted)
 *      KernelPageSize:        4 kB
 *      ...
 *      VmFlags: rd wr sh mr mw me ms sd hg
 */
#include "mappings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_flag(const char *flags, const char *flag)
{
    for (const char *at = strstr(flags, flag); at; at = strstr(at + 1, flag)) {
        if (at[-1] == ' ' && (at[2] == ' ' || at[2] == '\n' || at[2] == '\0'))
            return true;
    }
    return false;
}

static bool first_line(const char *line, struct mapping_facts *facts)
{
    uint64_t start, end, offset, inode;
    char perms[8], device[16];

    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %15s %" SCNu64, &start, &end, perms, &offset, device,
               &inode) != 6)
        return false;
    *facts = (struct mapping_facts){
        .start = start,
        .end = end,
        .writable = strchr(perms, 'w') != NULL,
        .shared = strchr(perms, 's') != NULL,
        .file = inode != 0,
    };
    return true;
}

static void flags_line(const char *flags, struct mapping_facts *facts)
{
    facts->locked = has_flag(flags, "lo");
    facts->device = has_flag(flags, "pf") || has_flag(flags, "io");
    facts->huge_wanted = has_flag(flags, "hg");
    facts->huge_refused = has_flag(flags, "nh");
}

int mappings_each(int (*seen)(void *opaque, const struct mapping_facts *facts), void *opaque, struct ferry_error *err)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    struct mapping_facts facts = { 0 };
    char *line = NULL;
    size_t room = 0;
    uint64_t kib;
    int ret = 0;

    if (!file)
        return ferry_error_set(err, -errno, "/proc/self/smaps: %s", strerror(errno));
    while (ret == 0 && getline(&line, &room, file) > 0) {
        if (sscanf(line, "KernelPageSize: %" SCNu64 " kB", &kib) == 1) {
            facts.page_bytes = kib << 10;
        } else if (!strncmp(line, "VmFlags:", 8)) {
            flags_line(line, &facts);
            ret = seen(opaque, &facts); /* the last line of each */
        } else {
            (void)first_line(line, &facts);
        }
    }
    free(line);
    fclose(file);
    return ret;
}
