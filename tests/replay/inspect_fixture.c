/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_fixture.c - streams made by hand, and a look at them */
#include "inspect_fixture.h"

#include "clock.h"
#include "inspect_json.h"
#include "inspect_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANG_NS (60 * NS_PER_SEC)

/* ---- streams --------------------------------------------------------------------------------------------------- */

void made_begin(struct made *made)
{
    made->chan = ferry_channel_buffer_writer(16 << 20, NULL);
    made->to = ferry_writer_new(made->chan, NULL);
    assert_non_null(made->to);
}

const uint8_t *made_finish(struct made *made, size_t *bytes)
{
    assert_int_equal(ferry_writer_flush(made->to, NULL), 0);
    return ferry_channel_buffer_data(made->chan, bytes);
}

void made_drop(struct made *made)
{
    ferry_writer_free(made->to);
    ferry_channel_unref(made->chan);
}

void put_hex(struct ferry_writer *to, const char *hex)
{
    unsigned byte;

    for (; *hex; hex += 2) {
        assert_int_equal(sscanf(hex, "%2x", &byte), 1);
        ferry_put_u8(to, (uint8_t)byte);
    }
}

void put_prologue(struct ferry_writer *to)
{
    put_hex(to, "5145564d00000003"
                "070000000474657374");
}

void put_return_path(struct ferry_writer *to)
{
    put_hex(to, "0800010000"
                "080002000400000001");
}

void put_ram_start(struct ferry_writer *to)
{
    put_hex(to, "01000000020372616d0000000000000004"
                "0000000000003004"
                "01720000000000002000"
                "01730000000000001000"
                "0000000000000010"
                "7e00000002");
}

void put_pages(struct ferry_writer *to)
{
    put_hex(to, "0200000002"
                "0000000000000002017200"
                "0000000000001028");
    for (unsigned i = 0; i < 4096; i++)
        ferry_put_u8(to, 1);
    put_hex(to, "0000000000000002017300"
                "0000000000000010"
                "7e00000002");
}

void put_xbzrle(struct ferry_writer *to)
{
    put_hex(to, "0200000002"
                "0000000000001040"
                "0172"
                "01000d"
                "000109ab0203aabbccd01d0107"
                "0000000000000010"
                "7e00000002");
}

void put_ram_end(struct ferry_writer *to)
{
    put_hex(to, "0300000002"
                "0000000000000010"
                "7e00000002");
}

void put_full(struct ferry_writer *to, const char *body)
{
    put_hex(to, "040000000503646576"
                "00000000"
                "00000001");
    put_hex(to, body);
    put_hex(to, "7e00000005");
}

void put_end(struct ferry_writer *to, const char *json)
{
    ferry_put_u8(to, SECTION_EOF);
    if (json)
        section_put_vmdesc(to, json, (uint32_t)strlen(json));
}

void put_golden(struct ferry_writer *to)
{
    put_prologue(to);
    put_return_path(to);
    put_ram_start(to);
    put_pages(to);
    put_xbzrle(to);
    put_ram_end(to);
    put_full(to, GOLDEN_BODY);
    put_end(to, GOLDEN);
}

/* A stream with one device of this body, so described. */
void put_device(struct ferry_writer *to, const char *body, const char *fields)
{
    char json[4096];

    put_prologue(to);
    put_ram_start(to);
    put_pages(to);
    put_ram_end(to);
    put_full(to, body);
    snprintf(json, sizeof(json), "{\"page_size\": 4096, \"devices\": [" DEV "%s]}]}", fields);
    put_end(to, json);
}

/* ---- postcopy -------------------------------------------------------------------------------------------------- */

void put_precopy(struct ferry_writer *to)
{
    put_prologue(to);
    put_return_path(to);
    put_hex(to, "080003001000000000000010000000000000001000");
    put_ram_start(to);
    put_pages(to);
}

void put_discards(struct ferry_writer *to)
{
    put_hex(to, "080006001400017200"
                "00000000000010000000000000001000"
                "080006001400017300"
                "00000000000000000000000000001000"
                "080002000400000002");
}

void put_package(struct ferry_writer *to)
{
    put_hex(to, "080007000400000039"
                "0800040000"
                "040000000503646576"
                "00000000"
                "00000001" GOLDEN_BODY "7e00000005"
                "080002000400000003"
                "0800050000");
    put_hex(to, "080002000400000004");
}

/* A record of a page filled with @fill, behind its head. */
void put_following(struct ferry_writer *to, const char *hex, uint8_t fill)
{
    put_hex(to, hex);
    for (unsigned i = 0; i < 4096; i++)
        ferry_put_u8(to, fill);
}

void put_followed(struct ferry_writer *to)
{
    put_hex(to, "0000000000000010"
                "7e00000002");
    put_ram_end(to);
    ferry_put_u8(to, SECTION_EOF);
}

void put_postcopy(struct ferry_writer *to)
{
    put_precopy(to);
    put_discards(to);
    put_package(to);
    put_following(to,
                  "0200000002"
                  "00000000000010080172",
                  2);
    put_hex(to, "0000000000000002017300");
    put_followed(to);
}

/* ---- looking --------------------------------------------------------------------------------------------------- */

void look_at_channel(struct seen *seen, struct ferry_channel *chan, bool answer)
{
    struct inspect_options options = { .answer = answer };
    int64_t began = clock_now_ns();
    size_t bytes;
    FILE *to;

    inspect_report_init(&seen->report);
    assert_int_equal(inspect_ram_init(&seen->ram, true, 1 << 20, NULL), 0);
    seen->result = inspect_stream(ferry_reader_new(chan, NULL), &options, &seen->ram, &seen->report);
    to = open_memstream(&seen->words, &bytes);
    inspect_print(to, &seen->report, &seen->ram, false);
    fclose(to);
    to = open_memstream(&seen->json, &bytes);
    assert_int_equal(inspect_json(to, &seen->report, &seen->ram), 0);
    fclose(to);
    assert_true(clock_now_ns() - began < HANG_NS);
    assert_int_equal(seen->result, seen->report.error.errnum);
    assert_true(seen->result == 0 || (seen->result < 0 && seen->report.error.text[0]));
}

void look(struct seen *seen, const uint8_t *data, size_t bytes)
{
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes, NULL);

    assert_non_null(chan);
    look_at_channel(seen, chan, false);
    ferry_channel_unref(chan);
}

void look_away(struct seen *seen)
{
    free(seen->words);
    free(seen->json);
    inspect_report_clear(&seen->report);
    inspect_ram_clear(&seen->ram);
}

void look_at_made(struct seen *seen, struct made *made)
{
    size_t bytes;
    const uint8_t *data = made_finish(made, &bytes);
    uint8_t *exact = malloc(bytes); /* so that a sanitizer sees a step too far */

    memcpy(exact, data, bytes);
    look(seen, exact, bytes);
    free(exact);
    made_drop(made);
}

void assert_says(const char *words, const char *part)
{
    if (!strstr(words, part))
        fail_msg("'%s' is not in:\n%s", part, words);
}
