/* SPDX-License-Identifier: BSD-3-Clause */
/* journal_image.c - the bytes of a journal, and what they say; no I/O
 *
 *       0        64        128       192                               512
 *       | head    | started | note    | zeroes                           |
 *                                     '-- the next note
 *
 *     head   "FERRYJNL"  be16 version  be16 role  be32 0   session id   16 zeroes   zeroes   be32 crc  be32 mark
 *     note   be16 step   be16 number   be32 0     be64 0   session id   token       zeroes   be32 crc  be32 mark
 *            0                                             16           32          48       56        60
 *
 * The last byte of a record is not zero.  So a record that ends in zero, or with the file, was cut off while it was
 * written, and its note never returned; one that ends otherwise and is wrong was damaged later.  To take the one for
 * the other would let a guest run twice.
 */
#include "journal_image.h"

#include "bytes.h"

#include <errno.h>
#include <string.h>

#define MAGIC         "FERRYJNL"
#define MAGIC_BYTES   8
#define VERSION       1
#define AT_VERSION    8
#define AT_ROLE       10
#define AT_STEP       0
#define AT_NUMBER     2
#define AT_SESSION    16
#define AT_TOKEN      32
#define AT_REST       48
#define AT_CRC        56
#define AT_MARK       60
#define MARK          UINT32_C(0x4e4f5445)
#define CRC32C_MIRROR UINT32_C(0x82f63b78)

static uint32_t crc32c(const uint8_t *bytes, size_t length)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ CRC32C_MIRROR : crc >> 1;
    }
    return ~crc;
}

static bool all_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i])
            return false;
    return true;
}

static void seal(uint8_t *record)
{
    store_be32(record + AT_CRC, crc32c(record, AT_CRC));
    store_be32(record + AT_MARK, MARK);
}

static bool sealed(const uint8_t *record)
{
    return load_be32(record + AT_CRC) == crc32c(record, AT_CRC) && load_be32(record + AT_MARK) == MARK;
}

/* Not there, or not all of it. */
static bool is_cut_off(const uint8_t *record)
{
    return record[JOURNAL_RECORD_BYTES - 1] == 0;
}

bool journal_step_follows(enum journal_step step, enum journal_step next)
{
    static const enum journal_step after[JOURNAL_STEPS] = {
        [JOURNAL_NOTHING] = JOURNAL_STARTED,
        [JOURNAL_STARTED] = JOURNAL_PREPARED,
        [JOURNAL_PREPARED] = JOURNAL_COMMITTED,
        [JOURNAL_COMMITTED] = JOURNAL_DONE,
    };

    if (step < JOURNAL_NOTHING || step >= JOURNAL_DONE)
        return false;
    return next == after[step] || (next == JOURNAL_ABORTED && step != JOURNAL_NOTHING);
}

bool journal_step_has_token(enum journal_step step)
{
    return step == JOURNAL_PREPARED || step == JOURNAL_COMMITTED;
}

void journal_image_begin(struct journal_image *image, enum journal_role role, const uint8_t session[JOURNAL_ID_BYTES])
{
    memset(image, 0, sizeof(*image));
    memcpy(image->bytes, MAGIC, MAGIC_BYTES);
    store_be16(image->bytes + AT_VERSION, VERSION);
    store_be16(image->bytes + AT_ROLE, role);
    memcpy(image->bytes + AT_SESSION, session, JOURNAL_ID_BYTES);
    seal(image->bytes);
}

size_t journal_image_end(const struct journal_image *image)
{
    return (size_t)(image->notes + 1) * JOURNAL_RECORD_BYTES;
}

void journal_image_add(struct journal_image *image, const struct journal_state *state)
{
    uint8_t *record = image->bytes + journal_image_end(image);

    memset(record, 0, JOURNAL_RECORD_BYTES);
    store_be16(record + AT_STEP, state->step);
    store_be16(record + AT_NUMBER, ++image->notes);
    memcpy(record + AT_SESSION, state->session, JOURNAL_ID_BYTES);
    if (state->has_token)
        memcpy(record + AT_TOKEN, state->token, JOURNAL_TOKEN_BYTES);
    seal(record);
}

static int decode_head(const uint8_t *head, struct journal_state *state, struct ferry_error *err)
{
    uint16_t role = load_be16(head + AT_ROLE);

    if (memcmp(head, MAGIC, MAGIC_BYTES))
        return ferry_error_set_code(err, FERRY_E_JOURNAL, -EBADMSG, "not a journal of a migration");
    if (!sealed(head))
        return ferry_error_set_code(err, FERRY_E_JOURNAL, -EBADMSG, "the head of the journal is damaged");
    if (load_be16(head + AT_VERSION) != VERSION)
        return ferry_error_set_code(err, FERRY_E_JOURNAL, -EBADMSG, "a journal of version %u, only %d is understood",
                                    load_be16(head + AT_VERSION), VERSION);
    if ((role != JOURNAL_SOURCE && role != JOURNAL_DESTINATION) || load_be32(head + AT_ROLE + 2) != 0 ||
        !all_zero(head + AT_TOKEN, AT_CRC - AT_TOKEN))
        return ferry_error_set_code(err, FERRY_E_JOURNAL, -EBADMSG, "the head of the journal is malformed");
    state->role = role;
    memcpy(state->session, head + AT_SESSION, JOURNAL_ID_BYTES);
    return 0;
}

static int decode_note(const uint8_t *note, unsigned number, struct journal_state *state, struct ferry_error *err)
{
    uint16_t step = load_be16(note + AT_STEP);
    bool with_token;

    if (!sealed(note))
        return ferry_error_set_code(err, FERRY_E_JOURNAL, -EBADMSG, "note %u of the journal is damaged", number);
    if (step >= JOURNAL_STEPS || !journal_step_follows(state->step, step) || load_be16(note + AT_NUMBER) != number ||
        !all_zero(note + AT_NUMBER + 2, AT_SESSION - AT_NUMBER - 2) || !all_zero(note + AT_REST, AT_CRC - AT_REST) ||
        memcmp(note + AT_SESSION, state->session, JOURNAL_ID_BYTES))
        return ferry_error_set_code(err, FERRY_E_JOURNAL, -EBADMSG, "note %u of the journal cannot stand there",
                                    number);
    with_token = state->has_token || step == JOURNAL_PREPARED;
    if (state->has_token ? memcmp(note + AT_TOKEN, state->token, JOURNAL_TOKEN_BYTES) != 0
                         : !with_token && !all_zero(note + AT_TOKEN, JOURNAL_TOKEN_BYTES))
        return ferry_error_set_code(err, FERRY_E_JOURNAL, -EBADMSG, "note %u of the journal has another token", number);
    memcpy(state->token, note + AT_TOKEN, JOURNAL_TOKEN_BYTES);
    state->has_token = with_token;
    state->step = step;
    return 0;
}

int journal_image_decode(const uint8_t *bytes, size_t length, struct journal_image *image, struct journal_state *out,
                         struct ferry_error *err)
{
    struct journal_image found = { 0 };
    struct journal_state state = { 0 };
    const uint8_t *note;
    int ret;

    if (length > JOURNAL_BYTES)
        return ferry_error_set_code(err, FERRY_E_JOURNAL, -EBADMSG, "not a journal of a migration: more than %d bytes",
                                    JOURNAL_BYTES);
    memcpy(found.bytes, bytes, length);
    if (is_cut_off(found.bytes)) {
        if (all_zero(found.bytes + JOURNAL_RECORD_BYTES, JOURNAL_BYTES - JOURNAL_RECORD_BYTES) &&
            (all_zero(found.bytes, MAGIC_BYTES) ||
             !memcmp(found.bytes, MAGIC, length < MAGIC_BYTES ? length : MAGIC_BYTES)))
            return ferry_error_set_code(err, FERRY_E_JOURNAL, -ENODATA, "nothing was ever noted in this journal");
        return ferry_error_set_code(err, FERRY_E_JOURNAL, -EBADMSG, "not a journal of a migration");
    }
    ret = decode_head(found.bytes, &state, err);
    for (note = found.bytes + JOURNAL_RECORD_BYTES; ret == 0 && found.notes < JOURNAL_NOTES && !is_cut_off(note);
         note += JOURNAL_RECORD_BYTES)
        ret = decode_note(note, ++found.notes, &state, err);
    if (ret < 0)
        return ret;
    if (found.notes < JOURNAL_NOTES) {
        state.torn = !all_zero(note, JOURNAL_RECORD_BYTES);
        if (!all_zero(note + JOURNAL_RECORD_BYTES, (size_t)(found.bytes + JOURNAL_BYTES - note) - JOURNAL_RECORD_BYTES))
            return ferry_error_set_code(err, FERRY_E_JOURNAL, -EBADMSG,
                                        "note %u of the journal is missing, but more follow", found.notes + 1);
        memset(found.bytes + journal_image_end(&found), 0, JOURNAL_BYTES - journal_image_end(&found));
    }
    if (state.step == JOURNAL_NOTHING)
        return ferry_error_set_code(err, FERRY_E_JOURNAL, -ENODATA, "nothing was ever noted in this journal");
    *image = found;
    *out = state;
    return 0;
}
