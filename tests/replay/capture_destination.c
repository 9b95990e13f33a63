/* SPDX-License-Identifier: BSD-3-Clause */
/* capture_destination.c - a destination for a stream of QEMU's that somebody plays: any machine, any memory, any
 * devices
 *
 *      capture-destination ADDRESS MACHINE FILE [NAME=VALUE...] < devices
 *
 * A line of stdin is a device: name, instance, version, bytes.  Once the guest runs, a thread reads a byte of each page
 * of its memory, from the last one on, so that pages that have not come are asked for.  In the end its largest block is
 * in FILE.  Without any argument it says whether it could do that here.
 */
#include "userfault.h"

#include <ferry/session.h>
#include <ferry/stream.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEVICES_MAX 128
#define BLOCKS_MAX  16
#define PAGE_BYTES  4096

struct device {
    struct ferry_legacy_ops ops;
    char name[256];
    int instance;
    size_t bytes;
};

struct machine {
    struct ferry_guest *guest;
    struct device devices[DEVICES_MAX];
    unsigned device_count, loaded;
    struct ferry_block blocks[BLOCKS_MAX];
    unsigned block_count;
    pthread_t toucher;
    bool runs;
};

static struct machine machine;

/* ---- the guest ------------------------------------------------------------------------------------------------- */

static int guest_stop(void *opaque, struct ferry_error *err)
{
    return 0;
}

static void *touch(void *opaque)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < machine.block_count; i++)
        for (uint64_t at = machine.blocks[i].length; at > 0; at -= PAGE_BYTES)
            sum += ((volatile uint8_t *)machine.blocks[i].host)[at - PAGE_BYTES];
    return sum ? &machine : NULL;
}

static int guest_start(void *opaque, struct ferry_error *err)
{
    int ret = -pthread_create(&machine.toucher, NULL, touch, NULL);

    machine.runs = ret == 0;
    return ret < 0 ? ferry_error_set(err, ret, "no thread for the guest") : 0;
}

static int provide_block(void *opaque, const char *name, uint64_t length, struct ferry_block *block,
                         struct ferry_error *err)
{
    void *host = MAP_FAILED;

    if (machine.block_count < BLOCKS_MAX)
        host = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (host == MAP_FAILED)
        return ferry_error_set(err, -ENOMEM, "block '%s': no memory", name);
    block->host = host;
    block->length = length;
    block->page_size = PAGE_BYTES;
    block->flags = FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH;
    machine.blocks[machine.block_count++] = *block;
    return 0;
}

static const struct ferry_guest_ops guest_ops = { .stop = guest_stop,
                                                  .start = guest_start,
                                                  .provide_block = provide_block };

static void device_save(struct ferry_writer *writer, void *opaque)
{
}

static int device_load(struct ferry_reader *reader, void *opaque, int version, struct ferry_error *err)
{
    const struct device *device = opaque;

    machine.loaded++;
    return ferry_reader_skip(reader, device->bytes);
}

/* ---- the program ----------------------------------------------------------------------------------------------- */

static int add_devices(struct ferry_error *err)
{
    for (struct device *device = machine.devices; machine.device_count < DEVICES_MAX; device++) {
        int ret;

        if (scanf("%255s %d %d %zu", device->name, &device->instance, &device->ops.version_id, &device->bytes) != 4)
            return 0;
        device->ops.minimum_version_id = device->ops.version_id;
        device->ops.save = device_save;
        device->ops.load = device_load;
        ret = ferry_guest_add_legacy_device(machine.guest, device->name, device->instance, &device->ops, device, err);
        if (ret < 0)
            return ret;
        machine.device_count++;
    }
    return 0;
}

static int set_options(struct ferry_options *options, int argc, char **argv, struct ferry_error *err)
{
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        int ret;

        if (!value)
            return ferry_error_set(err, -EINVAL, "%s: NAME=VALUE is wanted", argv[i]);
        *value = '\0';
        ret = ferry_options_set(options, argv[i], value + 1, err);
        if (ret < 0)
            return ret;
    }
    return 0;
}

static int receive(const char *address, struct ferry_options *options, struct ferry_error *err)
{
    struct ferry_listener *listener = ferry_listener_open(address, err);
    struct ferry_session *session;
    int ret;

    if (!listener)
        return err->errnum;
    session = ferry_destination_listen(machine.guest, listener, FERRY_NO_DEADLINE, options, err);
    if (!session) {
        ferry_listener_free(listener);
        return err->errnum;
    }
    printf("listening\n");
    fflush(stdout);
    ret = ferry_session_wait(session, FERRY_NO_DEADLINE, err);
    ferry_session_free(session);
    if (machine.runs)
        pthread_join(machine.toucher, NULL);
    return ret;
}

static int save_memory(const char *path, struct ferry_error *err)
{
    const struct ferry_block *largest = machine.blocks;
    FILE *to = fopen(path, "wb");
    size_t done;

    for (unsigned i = 1; i < machine.block_count; i++)
        if (machine.blocks[i].length > largest->length)
            largest = &machine.blocks[i];
    if (!to)
        return ferry_error_set(err, -errno, "%s: %s", path, strerror(errno));
    done = fwrite(largest->host, 1, largest->length, to);
    if (fclose(to) == EOF || done < largest->length)
        return ferry_error_set(err, -EIO, "%s: not written", path);
    return 0;
}

static int check(void)
{
    struct ferry_error err = { 0 };
    int fd = userfault_open(USERFAULT_KERNEL_TOO, 0, &err);

    if (fd < 0) {
        printf("SKIP: needs userfaultfd: %s\n", ferry_error_text(&err));
        return 77;
    }
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    struct ferry_options *options;
    struct ferry_error err = { 0 };
    int ret;

    if (argc == 1)
        return check();
    options = ferry_options_new();
    if (argc < 4 || !options)
        return 2;
    machine.guest = ferry_guest_new(argv[2], &guest_ops, NULL, &err);
    ret = machine.guest ? add_devices(&err) : err.errnum;
    if (ret == 0)
        ret = set_options(options, argc - 4, argv + 4, &err);
    if (ret == 0)
        ret = receive(argv[1], options, &err);
    if (ret == 0)
        ret = save_memory(argv[3], &err);
    if (ret < 0)
        fprintf(stderr, "%s\n", ferry_error_text(&err));
    else
        printf("%u of %u devices, %u blocks\n", machine.loaded, machine.device_count, machine.block_count);
    ferry_guest_free(machine.guest);
    ferry_options_free(options);
    return ret < 0 ? 1 : 0;
}
