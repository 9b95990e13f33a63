/* SPDX-License-Identifier: BSD-3-Clause */
/* section.c - the skeleton of a stream: header, configuration, sections, commands, end, description
 *
 * Encode stands beside decode.  Every length is compared with its bound before anything is read for it.
 */
#include "section.h"

#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define CAPABILITIES_SUBSECTION "configuration/capabilities"
#define SUBSECTION_VERSION      1

/* ---- header ---------------------------------------------------------------------------------------------------- */

void section_put_header(struct ferry_writer *writer)
{
    ferry_put_be32(writer, SECTION_MAGIC);
    ferry_put_be32(writer, SECTION_VERSION);
}

int section_get_header(struct ferry_reader *reader)
{
    uint32_t magic, version;
    int ret = ferry_get_be32(reader, &magic);

    if (ret < 0)
        return ret;
    if (magic != SECTION_MAGIC)
        return reader_fail_code(reader, FERRY_E_NOT_A_STREAM, NULL, -EPROTO,
                                "this is not a migration stream: it begins with %08" PRIx32 " instead of \"QEVM\"",
                                magic);
    ret = ferry_get_be32(reader, &version);
    if (ret < 0)
        return ret;
    if (version != SECTION_VERSION)
        return reader_fail_code(reader, FERRY_E_STREAM_VERSION, NULL, -EPROTO,
                                "stream version %" PRIu32 " is not the version %" PRIu32 " that is understood here",
                                version, SECTION_VERSION);
    return 0;
}

/* ---- configuration --------------------------------------------------------------------------------------------- */

void section_put_configuration(struct ferry_writer *writer, const char *machine)
{
    size_t bytes = strlen(machine);

    ferry_put_u8(writer, SECTION_CONFIGURATION);
    ferry_put_be32(writer, (uint32_t)bytes);
    ferry_put_bytes(writer, machine, bytes);
}

void section_put_capabilities(struct ferry_writer *writer, const char *const *names, unsigned count)
{
    ferry_put_u8(writer, SECTION_SUBSECTION);
    ferry_put_cstr8(writer, CAPABILITIES_SUBSECTION);
    ferry_put_be32(writer, SUBSECTION_VERSION);
    ferry_put_be32(writer, count);
    for (unsigned i = 0; i < count; i++)
        ferry_put_cstr8(writer, names[i]);
}

static int get_capabilities(struct ferry_reader *reader, struct section_configuration *config)
{
    uint32_t count;
    int ret = ferry_get_be32(reader, &count);

    if (ret < 0)
        return ret;
    if (count > SECTION_CAPABILITIES_MAX)
        return ferry_reader_fail(reader, -EPROTO, "%" PRIu32 " capabilities, at most %d are taken", count,
                                 SECTION_CAPABILITIES_MAX);
    for (config->capabilities = 0; config->capabilities < count; config->capabilities++) {
        ret = ferry_get_cstr8(reader, config->capability[config->capabilities]);
        if (ret < 0)
            return ret;
    }
    return 0;
}

static int get_page_bits(struct ferry_reader *reader, struct section_configuration *config)
{
    int ret = ferry_get_be32(reader, &config->page_bits);

    if (ret == 0 && config->page_bits != 12)
        return reader_fail_code(reader, FERRY_E_PAGE_SIZE, NULL, -EPROTO,
                                "target pages of 2^%" PRIu32 " bytes, only 4096 bytes are understood",
                                config->page_bits);
    return ret;
}

static int get_uuid(struct ferry_reader *reader, struct section_configuration *config)
{
    config->has_uuid = true;
    return ferry_get_bytes(reader, config->uuid, sizeof(config->uuid));
}

static const struct {
    const char *name;
    int (*get)(struct ferry_reader *reader, struct section_configuration *config);
} subsections[] = {
    { CAPABILITIES_SUBSECTION, get_capabilities },
    { "configuration/target-page-bits", get_page_bits },
    { "configuration/uuid", get_uuid },
};

static int get_subsection(struct ferry_reader *reader, struct section_configuration *config)
{
    char name[256];
    uint32_t version;
    int ret = ferry_get_cstr8(reader, name);

    if (ret == 0)
        ret = ferry_get_be32(reader, &version);
    if (ret < 0)
        return ret;
    if (version != SUBSECTION_VERSION)
        return reader_fail_code(reader, FERRY_E_UNKNOWN_CAPABILITY, name, -EPROTO,
                                "subsection '%s' has version %" PRIu32 ", only 1 is understood", name, version);
    for (size_t i = 0; i < sizeof(subsections) / sizeof(subsections[0]); i++)
        if (!strcmp(name, subsections[i].name))
            return subsections[i].get(reader, config);
    return reader_fail_code(reader, FERRY_E_UNKNOWN_CAPABILITY, name, -EPROTO,
                            "unknown subsection '%s' in the configuration", name);
}

int section_get_configuration(struct ferry_reader *reader, struct section_configuration *config)
{
    const uint8_t *next;
    uint8_t type;
    uint32_t bytes;
    ssize_t have;
    int ret = ferry_get_u8(reader, &type);

    memset(config, 0, sizeof(*config));
    if (ret < 0)
        return ret;
    if (type != SECTION_CONFIGURATION)
        return ferry_reader_fail(reader, -EPROTO, "item 0x%02x where the configuration (0x07) must stand", type);
    ret = ferry_get_be32(reader, &bytes);
    if (ret < 0)
        return ret;
    if (bytes > SECTION_MACHINE_MAX)
        return ferry_reader_fail(reader, -EPROTO, "a machine name of %" PRIu32 " bytes, at most %d are taken", bytes,
                                 SECTION_MACHINE_MAX);
    ret = ferry_get_bytes(reader, config->machine, bytes);
    if (ret < 0)
        return ret;
    if (strlen(config->machine) != bytes)
        return ferry_reader_fail(reader, -EPROTO, "a machine name with a NUL byte inside");
    while ((have = ferry_reader_peek(reader, 1, &next)) == 1 && next[0] == SECTION_SUBSECTION) {
        ret = ferry_reader_skip(reader, 1);
        if (ret == 0)
            ret = get_subsection(reader, config);
        if (ret < 0)
            return ret;
    }
    return have < 0 ? (int)have : 0;
}

/* ---- items ----------------------------------------------------------------------------------------------------- */

void section_put_first(struct ferry_writer *writer, enum section_type type, uint32_t id, const char *idstr,
                       uint32_t instance_id, uint32_t version_id)
{
    ferry_put_u8(writer, (uint8_t)type);
    ferry_put_be32(writer, id);
    ferry_put_cstr8(writer, idstr);
    ferry_put_be32(writer, instance_id);
    ferry_put_be32(writer, version_id);
}

void section_put_next(struct ferry_writer *writer, enum section_type type, uint32_t id)
{
    ferry_put_u8(writer, (uint8_t)type);
    ferry_put_be32(writer, id);
}

void section_put_footer(struct ferry_writer *writer, uint32_t id)
{
    ferry_put_u8(writer, SECTION_FOOTER);
    ferry_put_be32(writer, id);
}

void section_put_command(struct ferry_writer *writer, enum section_command command, const void *payload, uint16_t bytes)
{
    ferry_put_u8(writer, SECTION_COMMAND);
    ferry_put_be16(writer, (uint16_t)command);
    ferry_put_be16(writer, bytes);
    ferry_put_bytes(writer, payload, bytes);
}

void section_put_ferry(struct ferry_writer *writer, enum section_ferry_kind kind, const void *payload, uint32_t bytes)
{
    ferry_put_u8(writer, SECTION_FERRY);
    ferry_put_be16(writer, (uint16_t)kind);
    ferry_put_be32(writer, bytes);
    ferry_put_bytes(writer, payload, bytes);
}

static int get_ferry(struct ferry_reader *reader, struct section_item *item)
{
    int ret = ferry_get_be16(reader, &item->ferry_kind);

    if (ret == 0)
        ret = ferry_get_be32(reader, &item->ferry_bytes);
    if (ret == 0 && item->ferry_bytes > SECTION_FERRY_MAX)
        return ferry_reader_fail(reader, -EPROTO, "an item of %" PRIu32 " bytes, at most %u are taken",
                                 item->ferry_bytes, SECTION_FERRY_MAX);
    return ret;
}

static int get_first(struct ferry_reader *reader, struct section_item *item)
{
    int ret = ferry_get_be32(reader, &item->id);

    if (ret == 0)
        ret = ferry_get_cstr8(reader, item->idstr);
    if (ret == 0)
        ret = ferry_get_be32(reader, &item->instance_id);
    if (ret == 0)
        ret = ferry_get_be32(reader, &item->version_id);
    return ret;
}

static int get_command(struct ferry_reader *reader, struct section_item *item)
{
    int ret = ferry_get_be16(reader, &item->command);

    if (ret == 0)
        ret = ferry_get_be16(reader, &item->bytes);
    return ret;
}

int section_get_item(struct ferry_reader *reader, struct section_item *item)
{
    uint8_t type;
    int ret;

    memset(item, 0, sizeof(*item));
    item->offset = ferry_reader_offset(reader);
    ret = ferry_get_u8(reader, &type);
    if (ret < 0)
        return ret;
    item->type = (enum section_type)type;
    switch (item->type) {
    case SECTION_EOF:
        return 0;
    case SECTION_START:
    case SECTION_FULL:
        return get_first(reader, item);
    case SECTION_PART:
    case SECTION_END:
        return ferry_get_be32(reader, &item->id);
    case SECTION_COMMAND:
        return get_command(reader, item);
    case SECTION_FERRY:
        return get_ferry(reader, item);
    default:
        return ferry_reader_fail(reader, -EPROTO, "0x%02x where a section, a command or the end must stand", type);
    }
}

int section_get_footer(struct ferry_reader *reader, const struct section_item *item)
{
    uint8_t type;
    uint32_t id;
    int ret = ferry_get_u8(reader, &type);

    if (ret < 0)
        return ret;
    if (type != SECTION_FOOTER)
        return ferry_reader_fail(reader, -EPROTO,
                                 "0x%02x where the footer (0x7e) of section %" PRIu32
                                 " must stand: its body was not what it was taken for",
                                 type, item->id);
    ret = ferry_get_be32(reader, &id);
    if (ret == 0 && id != item->id)
        return ferry_reader_fail(reader, -EPROTO, "the footer of section %" PRIu32 " closes section %" PRIu32, id,
                                 item->id);
    return ret;
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

void section_put_eof(struct ferry_writer *writer)
{
    ferry_put_u8(writer, SECTION_EOF);
}

void section_put_vmdesc(struct ferry_writer *writer, const char *json, uint32_t bytes)
{
    ferry_put_u8(writer, SECTION_VMDESC);
    ferry_put_be32(writer, bytes);
    ferry_put_bytes(writer, json, bytes);
}

int section_get_vmdesc(struct ferry_reader *reader, uint32_t *bytes)
{
    const uint8_t *next;
    uint8_t type;
    ssize_t have = ferry_reader_peek(reader, 1, &next);
    int ret;

    *bytes = 0;
    if (have <= 0)
        return (int)have;
    ret = ferry_get_u8(reader, &type);
    if (ret == 0 && type != SECTION_VMDESC)
        return ferry_reader_fail(reader, -EPROTO, "0x%02x after the end, where only a description (0x06) may stand",
                                 type);
    if (ret == 0)
        ret = ferry_get_be32(reader, bytes);
    if (ret == 0 && *bytes > SECTION_VMDESC_MAX)
        return ferry_reader_fail(reader, -EPROTO, "a description of %" PRIu32 " bytes, at most %u are taken", *bytes,
                                 SECTION_VMDESC_MAX);
    return ret;
}

/* ---- names ----------------------------------------------------------------------------------------------------- */

const char *section_type_name(enum section_type type)
{
    switch (type) {
    case SECTION_EOF:
        return "eof";
    case SECTION_START:
        return "start";
    case SECTION_PART:
        return "part";
    case SECTION_END:
        return "end";
    case SECTION_FULL:
        return "full";
    case SECTION_COMMAND:
        return "command";
    case SECTION_FERRY:
        return "ferry";
    default:
        return "unknown";
    }
}

const char *section_command_name(uint16_t command)
{
    static const char *const names[] = {
        [COMMAND_OPEN_RETURN_PATH] = "open-return-path",
        [COMMAND_PING] = "ping",
        [COMMAND_POSTCOPY_ADVISE] = "postcopy-advise",
        [COMMAND_POSTCOPY_LISTEN] = "postcopy-listen",
        [COMMAND_POSTCOPY_RUN] = "postcopy-run",
        [COMMAND_POSTCOPY_RAM_DISCARD] = "postcopy-ram-discard",
        [COMMAND_PACKAGED] = "packaged",
        [COMMAND_ENABLE_COLO] = "enable-colo",
        [COMMAND_POSTCOPY_RESUME] = "postcopy-resume",
        [COMMAND_RECV_BITMAP] = "recv-bitmap",
        [COMMAND_SWITCHOVER_START] = "switchover-start",
    };

    return command < sizeof(names) / sizeof(names[0]) && names[command] ? names[command] : "unknown";
}
