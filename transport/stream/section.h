/* SPDX-License-Identifier: BSD-3-Clause */
/* section.h - the skeleton of a stream: header, configuration, sections, commands, end, description
 *
 *      "QEVM" 3 | CONFIGURATION | { START body footer | PART ... | END ... | FULL ... | COMMAND } | EOF | VMDESCRIPTION
 *
 * Numbers and layout are QEMU's, version 3 (docs/protocol.md).  A body has no length: whoever knows the section's name
 * reads it, and the footer tells whether that went right.
 */
#ifndef STREAM_SECTION_H
#define STREAM_SECTION_H

#include <ferry/stream.h>
#include <stdbool.h>

#define SECTION_MAGIC   UINT32_C(0x5145564d) /* "QEVM" */
#define SECTION_VERSION UINT32_C(3)

enum section_type {
    SECTION_EOF = 0x00,
    SECTION_START = 0x01,
    SECTION_PART = 0x02,
    SECTION_END = 0x03,
    SECTION_FULL = 0x04,
    SECTION_SUBSECTION = 0x05,
    SECTION_VMDESC = 0x06,
    SECTION_CONFIGURATION = 0x07,
    SECTION_COMMAND = 0x08,
    SECTION_FERRY = 0x46, /* the ferry dialect's own items */
    SECTION_FOOTER = 0x7e,
};

enum section_command {
    COMMAND_OPEN_RETURN_PATH = 1,
    COMMAND_PING = 2,
    COMMAND_POSTCOPY_ADVISE = 3,
    COMMAND_POSTCOPY_LISTEN = 4,
    COMMAND_POSTCOPY_RUN = 5,
    COMMAND_POSTCOPY_RAM_DISCARD = 6,
    COMMAND_PACKAGED = 7,
    COMMAND_ENABLE_COLO = 8,
    COMMAND_POSTCOPY_RESUME = 9,
    COMMAND_RECV_BITMAP = 10,
    COMMAND_SWITCHOVER_START = 11,
};

/* What a SECTION_FERRY item is about; literal numbers, never reused. */
enum section_ferry_kind {
    FERRY_ITEM_MANIFEST = 1,  /* directly after the configuration */
    FERRY_ITEM_COMMIT = 2,    /* token: the destination may run the guest */
    FERRY_ITEM_ERROR = 3,     /* an encoded error: the source gives up, and why */
    FERRY_ITEM_HEARTBEAT = 4, /* be64 counter */
    FERRY_ITEM_PREPARE = 5,   /* token: the guest stands still, the switch begins */
};

#define SECTION_FERRY_MAX (16u << 20)

#define SECTION_MACHINE_MAX      255
#define SECTION_CAPABILITIES_MAX 64
#define SECTION_VMDESC_MAX       (64u << 20)

/* What CONFIGURATION says. */
struct section_configuration {
    char machine[SECTION_MACHINE_MAX + 1];
    uint32_t page_bits; /* 0: not said */
    unsigned capabilities;
    char capability[SECTION_CAPABILITIES_MAX][256];
    bool has_uuid;
    uint8_t uuid[16];
};

/* One item of the main stream, up to where its body begins. */
struct section_item {
    enum section_type type;
    uint64_t offset;      /* of the type byte */
    uint32_t id;          /* START PART END FULL */
    char idstr[256];      /* START FULL */
    uint32_t instance_id; /* START FULL */
    uint32_t version_id;  /* START FULL */
    uint16_t command;     /* COMMAND */
    uint16_t bytes;       /* COMMAND: of its payload, which is the body */
    uint16_t ferry_kind;  /* FERRY */
    uint32_t ferry_bytes; /* FERRY: of its payload, which is the body */
};

void section_put_header(struct ferry_writer *writer);
void section_put_configuration(struct ferry_writer *writer, const char *machine);
/* Directly after it: what the destination must have, too. */
void section_put_capabilities(struct ferry_writer *writer, const char *const *names, unsigned count);
/* START or FULL */
void section_put_first(struct ferry_writer *writer, enum section_type type, uint32_t id, const char *idstr,
                       uint32_t instance_id, uint32_t version_id);
/* PART or END */
void section_put_next(struct ferry_writer *writer, enum section_type type, uint32_t id);
void section_put_footer(struct ferry_writer *writer, uint32_t id);
void section_put_command(struct ferry_writer *writer, enum section_command command, const void *payload,
                         uint16_t bytes);
void section_put_ferry(struct ferry_writer *writer, enum section_ferry_kind kind, const void *payload, uint32_t bytes);
void section_put_eof(struct ferry_writer *writer);
void section_put_vmdesc(struct ferry_writer *writer, const char *json, uint32_t bytes);

/* Each returns 0 or the reader's error. */
int section_get_header(struct ferry_reader *reader) FERRY_CHECK;
int section_get_configuration(struct ferry_reader *reader, struct section_configuration *config) FERRY_CHECK;
/* The next item; its body is the caller's to read.  Anything that may not stand there is an error. */
int section_get_item(struct ferry_reader *reader, struct section_item *item) FERRY_CHECK;
int section_get_footer(struct ferry_reader *reader, const struct section_item *item) FERRY_CHECK;
/* After EOF: the length of the description that follows, 0 where the stream ends without one. */
int section_get_vmdesc(struct ferry_reader *reader, uint32_t *bytes) FERRY_CHECK;

const char *section_type_name(enum section_type type);
const char *section_command_name(uint16_t command);

#endif
