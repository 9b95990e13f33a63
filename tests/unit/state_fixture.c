/* SPDX-License-Identifier: BSD-3-Clause */
/* state_fixture.c - bytes to and from a described device, and a device that has every encoding there is */
#include "state_fixture.h"

#include <errno.h>
#include <ferry/channel.h>
#include <ferry/stream.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

int fixture_save(const struct ferry_state_desc *desc, void *opaque, const struct ferry_profile *profile, json_t *vmdesc,
                 struct fixture_bytes *to, struct ferry_error *err)
{
    struct ferry_channel *channel = ferry_channel_buffer_writer(FIXTURE_ROOM, err);
    struct ferry_writer *writer = channel ? ferry_writer_new(channel, err) : NULL;
    int rc = -ENOMEM;

    to->count = 0;
    if (writer)
        rc = state_save(writer, desc, opaque, profile, vmdesc, err);
    if (rc == 0)
        rc = ferry_writer_flush(writer, err);
    if (rc == 0) {
        const void *data = ferry_channel_buffer_data(channel, &to->count);

        if (to->count)
            memcpy(to->data, data, to->count);
    }
    ferry_writer_free(writer);
    ferry_channel_unref(channel);
    return rc;
}

int fixture_load(const struct ferry_state_desc *desc, void *opaque, uint32_t version, const void *data, size_t bytes,
                 struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    struct ferry_channel *channel = ferry_channel_buffer_reader(data, bytes, &why);
    struct ferry_reader *reader = channel ? ferry_reader_new(channel, &why) : NULL;
    struct state_staged *staged = reader ? state_parse(desc, opaque, version, reader, &why) : NULL;

    if (staged && ferry_reader_offset(reader) != bytes)
        ferry_error_set(&why, -EPROTO, "%zu bytes, of which %zu were used", bytes, (size_t)ferry_reader_offset(reader));
    else if (staged)
        (void)state_commit(staged, &why);
    if (err && why.errnum)
        *err = why;
    state_staged_free(staged);
    ferry_reader_free(reader);
    ferry_channel_unref(channel);
    return why.errnum;
}

void fixture_from_hex(const char *hex, struct fixture_bytes *to)
{
    unsigned byte;
    int used;

    to->count = 0;
    while (sscanf(hex, " %2x%n", &byte, &used) == 1) {
        to->data[to->count++] = (uint8_t)byte;
        hex += used;
    }
}

void fixture_assert_bytes(const struct ferry_state_desc *desc, void *opaque, const char *hex)
{
    struct fixture_bytes saved, wanted;
    struct ferry_error err = { 0 };

    fixture_from_hex(hex, &wanted);
    fixture_save(desc, opaque, NULL, NULL, &saved, &err);
    assert_string_equal(ferry_error_text(&err), "no error");
    assert_int_equal(saved.count, wanted.count);
    assert_memory_equal(saved.data, wanted.data, wanted.count);
}

/* ---- the zoo ----------------------------------------------------------------------------------------------------- */

static const struct ferry_field pair_fields[] = {
    FERRY_U8(kind, struct zoo_pair),
    FERRY_I16(delta, struct zoo_pair),
    FERRY_END,
};
static const struct ferry_state_desc pair_desc = {
    .name = "zoo-pair", .version_id = 1, .minimum_version_id = 1, .size = sizeof(struct zoo_pair), .fields = pair_fields
};

static const struct ferry_field late_fields[] = {
    FERRY_U32(mode, struct zoo_late),
    FERRY_U64_V(since, struct zoo_late, 2),
    FERRY_END,
};
static const struct ferry_state_desc late_desc = {
    .name = "zoo-late", .version_id = 2, .minimum_version_id = 1, .size = sizeof(struct zoo_late), .fields = late_fields
};

static const struct ferry_field request_fields[] = {
    FERRY_U32(tag, struct zoo_request),
    FERRY_U32(data_bytes, struct zoo_request),
    FERRY_ALLOC_VBUFFER(data, struct zoo_request, data_bytes, 64),
    FERRY_END,
};
static const struct ferry_state_desc request_desc = { .name = "zoo-request",
                                                      .version_id = 1,
                                                      .minimum_version_id = 1,
                                                      .size = sizeof(struct zoo_request),
                                                      .fields = request_fields };

static void request_free(void *opaque)
{
    struct zoo_request *request = opaque;

    free(request->data);
    free(request);
}

static const struct ferry_list request_list = {
    .ops = &ferry_list_ops_tailq,
    .desc = &request_desc,
    .link = offsetof(struct zoo_request, link),
    .most = 4,
    .free_element = request_free,
};

static const struct ferry_field note_fields[] = {
    FERRY_U16(number, struct zoo_note),
    FERRY_END,
};
static const struct ferry_state_desc note_desc = {
    .name = "zoo-note", .version_id = 1, .minimum_version_id = 1, .size = sizeof(struct zoo_note), .fields = note_fields
};

static void tree_init(void *root)
{
    *(struct zoo_node **)root = NULL;
}

static void *tree_first(const void *root)
{
    return *(struct zoo_node *const *)root;
}

static void *tree_next(const void *root, const void *node)
{
    return ((const struct zoo_node *)node)->next;
}

static int tree_insert(void *root, void *opaque)
{
    struct zoo_node *node = opaque, **slot = root;

    while (*slot && (*slot)->key < node->key)
        slot = &(*slot)->next;
    if (*slot && (*slot)->key == node->key)
        return -EEXIST;
    node->next = *slot;
    *slot = node;
    return 0;
}

static void tree_move(void *to, void *from)
{
    struct zoo_node **slot = to, **other = from;

    while (*slot) {
        struct zoo_node *node = *slot;

        *slot = node->next;
        free(node);
    }
    *slot = *other;
    *other = NULL;
}

static const struct ferry_tree_ops tree_ops = {
    .init = tree_init, .first = tree_first, .next = tree_next, .insert = tree_insert, .move = tree_move
};
static const struct ferry_field node_fields[] = {
    FERRY_U32(value, struct zoo_node),
    FERRY_END,
};
static const struct ferry_state_desc node_desc = {
    .name = "zoo-node", .version_id = 1, .minimum_version_id = 1, .size = sizeof(struct zoo_node), .fields = node_fields
};
static const struct ferry_tree zoo_tree = {
    .ops = &tree_ops,
    .key_offset = offsetof(struct zoo_node, key),
    .value = &node_desc,
    .node_size = sizeof(struct zoo_node),
    .most = 4,
};

struct zoo_tmp {
    struct zoo *parent;
    uint32_t half;
};

static int tmp_pre_save(void *opaque, struct ferry_error *err)
{
    struct zoo_tmp *tmp = opaque;

    tmp->half = tmp->parent->seconds / 2;
    return 0;
}

static int tmp_post_load(void *opaque, int version, struct ferry_error *err)
{
    struct zoo_tmp *tmp = opaque;

    tmp->parent->seconds = tmp->half * 2;
    return 0;
}

static const struct ferry_field tmp_fields[] = {
    FERRY_U32(half, struct zoo_tmp),
    FERRY_END,
};
static const struct ferry_state_desc tmp_desc = {
    .name = "zoo-tmp",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct zoo_tmp),
    .fields = tmp_fields,
    .hooks = { .pre_save = tmp_pre_save, .post_load = tmp_post_load },
};

static int wide_visit(struct ferry_visitor *visitor, void *value, size_t size, struct ferry_error *err)
{
    uint32_t *wide = value;
    uint16_t high = (uint16_t)(*wide >> 16), low = (uint16_t)*wide;
    int rc = ferry_visit_u16(visitor, "low", &low, err);

    if (rc == 0)
        rc = ferry_visit_u16(visitor, "high", &high, err);
    if (rc == 0)
        *wide = (uint32_t)high << 16 | low;
    return rc;
}

static const struct ferry_custom wide_custom = { .type = "zoo wide", .visit = wide_visit };

static int deep_put(struct ferry_writer *writer, const void *value, size_t size, struct ferry_error *err)
{
    ferry_put_u8(writer, 0xdd);
    ferry_put_be32(writer, ~*(const uint32_t *)value);
    return 0;
}

static int deep_get(struct ferry_reader *reader, void *value, size_t size, struct ferry_error *err)
{
    uint32_t deep;
    uint8_t mark;

    if (ferry_get_u8(reader, &mark) < 0 || ferry_get_be32(reader, &deep) < 0)
        return ferry_reader_status(reader, err);
    if (mark != 0xdd)
        return ferry_error_set(err, -EPROTO, "0x%02x is no mark", mark);
    *(uint32_t *)value = ~deep;
    return 0;
}

static const struct ferry_custom deep_custom = { .type = "zoo deep", .put = deep_put, .get = deep_get };

static bool extra_needed(void *opaque)
{
    return ((struct zoo *)opaque)->extra != 0;
}

static const struct ferry_field extra_fields[] = {
    FERRY_U32(extra, struct zoo),
    FERRY_END,
};
static const struct ferry_state_desc extra_desc = { .name = "zoo/extra",
                                                    .version_id = 1,
                                                    .minimum_version_id = 1,
                                                    .fields = extra_fields,
                                                    .hooks = { .needed = extra_needed } };
static const struct ferry_state_desc *const zoo_subsections[] = { &extra_desc, NULL };

static bool ring_is_sane(void *opaque, int version)
{
    return ((struct zoo *)opaque)->ring_used <= 8;
}

static int zoo_pre_load(void *opaque, struct ferry_error *err)
{
    ((struct zoo *)opaque)->extra = 0; /* what it is when the subsection does not come */
    return 0;
}

static int zoo_check(const void *opaque, int version, struct ferry_error *err)
{
    const struct zoo *zoo = opaque;

    return zoo->u8 == 0xff ? ferry_error_set(err, -EINVAL, "u8 may not be 255") : 0;
}

static int zoo_post_load(void *opaque, int version, struct ferry_error *err)
{
    ((struct zoo *)opaque)->loads++;
    return 0;
}

static const struct ferry_field zoo_fields[] = {
    FERRY_BOOL(on, struct zoo),
    FERRY_U8(u8, struct zoo),
    FERRY_U16(u16, struct zoo),
    FERRY_U32(u32, struct zoo),
    FERRY_U64(u64, struct zoo),
    FERRY_I8(i8, struct zoo),
    FERRY_I16(i16, struct zoo),
    FERRY_I32(i32, struct zoo),
    FERRY_I64(i64, struct zoo),
    FERRY_FLOAT64(real, struct zoo),
    FERRY_TIMER(timer, struct zoo),
    FERRY_U32_EQUAL(model, struct zoo),
    FERRY_I32_LE(queues, struct zoo),
    FERRY_BUFFER(label, struct zoo),
    FERRY_BUFFER_PART(ports, struct zoo, 2, 4),
    FERRY_UNUSED(3),
    FERRY_ARRAY(array, struct zoo, 3, U16),
    FERRY_ARRAY_2D(grid, struct zoo, 2, 2, U32),
    FERRY_U8(ring_used, struct zoo),
    FERRY_VALIDATE("the ring holds at most 8", ring_is_sane),
    FERRY_VARRAY(ring, struct zoo, ring_used, U16),
    FERRY_STRUCT(one, struct zoo, pair_desc, struct zoo_pair),
    FERRY_STRUCT_ARRAY(many, struct zoo, 2, pair_desc, struct zoo_pair),
    FERRY_U32(few_used, struct zoo),
    FERRY_STRUCT_VARRAY(few, struct zoo, few_used, pair_desc, struct zoo_pair),
    FERRY_POINTER(behind, struct zoo, U32),
    FERRY_STRUCT_POINTER(late, struct zoo, late_desc, struct zoo_late),
    FERRY_U16(blob_used, struct zoo),
    FERRY_VBUFFER(blob, struct zoo, blob_used, 16),
    FERRY_ARRAY_OF_POINTERS(sparse, struct zoo, 3, I32),
    FERRY_U32(owned_count, struct zoo),
    FERRY_ALLOC_VARRAY(owned, struct zoo, owned_count, 100, U16),
    FERRY_I32(bits_count, struct zoo),
    FERRY_BITMAP(bits, struct zoo, bits_count, 128),
    FERRY_LIST_OF(requests, struct zoo, request_list),
    FERRY_LIST(notes, struct zoo, note_desc, struct zoo_note, link, 4),
    FERRY_TREE(tree, struct zoo, zoo_tree),
    FERRY_TMP(struct zoo, tmp_desc, struct zoo_tmp),
    FERRY_CUSTOM(wide, struct zoo, wide_custom),
    FERRY_CUSTOM(deep, struct zoo, deep_custom),
    FERRY_END,
};
const struct ferry_state_desc zoo_desc = {
    .name = "zoo",
    .version_id = 3,
    .minimum_version_id = 3,
    .size = sizeof(struct zoo),
    .fields = zoo_fields,
    .subsections = zoo_subsections,
    .hooks = { .pre_load = zoo_pre_load, .check = zoo_check, .post_load = zoo_post_load },
};

static bool zoo_fill_containers(struct zoo *zoo, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct zoo_request *request = calloc(1, sizeof(*request));
        struct zoo_note *note = calloc(1, sizeof(*note));
        struct zoo_node *node = calloc(1, sizeof(*node));

        if (!request || !note || !node || !(request->data = calloc(1, i + 1))) {
            free(request);
            free(note);
            free(node);
            return false;
        }
        request->tag = n * 100 + i;
        request->data_bytes = i + 1;
        request->data[i] = (uint8_t)n;
        TAILQ_INSERT_TAIL(&zoo->requests, request, link);
        note->number = (uint16_t)(n * 10 + i);
        LIST_INSERT_HEAD(&zoo->notes, note, link);
        node->key = 0x10 + i;
        node->value = n + i;
        tree_insert(&zoo->tree, node);
    }
    return true;
}

static void zoo_fill_scalars(struct zoo *zoo, unsigned n)
{
    zoo->on = n & 1;
    zoo->u8 = (uint8_t)n;
    zoo->u16 = (uint16_t)(0x1200 + n);
    zoo->u32 = 0x12345600 + n;
    zoo->u64 = UINT64_C(0xfedcba9876543200) + n;
    zoo->i8 = (int8_t)-n;
    zoo->i16 = (int16_t)-512;
    zoo->i32 = -70000 - (int)n;
    zoo->i64 = INT64_C(-5000000000) - n;
    zoo->real = 0.1 * n;
    zoo->timer = n & 1 ? -1 : 1000000;
    zoo->model = 77;
    zoo->queues = 4;
    zoo->ring_used = (uint8_t)(n + 1);
    zoo->few_used = n;
    zoo->blob_used = (uint16_t)(n + 2);
    zoo->owned_count = n;
    zoo->bits_count = (int32_t)(60 + n * 5);
    zoo->seconds = n * 60;
    zoo->wide = 0xabcd0000 + n;
    zoo->deep = 0x11110000 + n;
    zoo->extra = n - 1;
    zoo->spare = n;
    snprintf(zoo->label, sizeof(zoo->label), "zoo %u", n);
    memset(zoo->ports, (int)n, sizeof(zoo->ports));
    for (unsigned i = 0; i < 3; i++)
        zoo->array[i] = (uint16_t)(n * 3 + i);
    for (unsigned i = 0; i < 4; i++) {
        zoo->grid[i / 2][i % 2] = n * 4 + i;
        zoo->few[i] = (struct zoo_pair){ (uint8_t)i, (int16_t) - (int)n };
    }
    for (unsigned i = 0; i < 8; i++)
        zoo->ring[i] = (uint16_t)(n * 8 + i);
    zoo->one = zoo->many[0] = zoo->many[1] = (struct zoo_pair){ 9, (int16_t)n };
}

struct zoo *zoo_new(unsigned n)
{
    struct zoo *zoo = calloc(1, sizeof(*zoo));

    if (!zoo)
        return NULL;
    TAILQ_INIT(&zoo->requests);
    LIST_INIT(&zoo->notes);
    zoo_fill_scalars(zoo, n);
    zoo->behind = calloc(1, sizeof(*zoo->behind));
    zoo->late = calloc(1, sizeof(*zoo->late));
    zoo->blob = calloc(16, 1);
    zoo->bits = calloc(2, sizeof(*zoo->bits));
    zoo->owned = calloc(n ? n : 1, sizeof(*zoo->owned));
    zoo->sparse[0] = calloc(1, sizeof(int32_t));
    zoo->sparse[2] = calloc(1, sizeof(int32_t));
    if (!zoo->behind || !zoo->late || !zoo->blob || !zoo->bits || !zoo->owned || !zoo->sparse[0] || !zoo->sparse[2] ||
        !zoo_fill_containers(zoo, n)) {
        zoo_free(zoo);
        return NULL;
    }
    *zoo->behind = 0xbe000000 + n;
    *zoo->late = (struct zoo_late){ n, n * 1000 };
    memset(zoo->blob, 'a' + (int)n, 16);
    memset(zoo->bits, 0x10 + (int)n, 16);
    *zoo->sparse[0] = 7 + (int)n;
    *zoo->sparse[2] = 9 + (int)n;
    for (unsigned i = 0; i < n; i++)
        zoo->owned[i] = (uint16_t)(n * 7 + i);
    return zoo;
}

void zoo_free(struct zoo *zoo)
{
    struct zoo_request *request;
    struct zoo_note *note;
    struct zoo_node *none = NULL;

    if (!zoo)
        return;
    while ((request = TAILQ_FIRST(&zoo->requests)) != NULL) {
        TAILQ_REMOVE(&zoo->requests, request, link);
        request_free(request);
    }
    while ((note = LIST_FIRST(&zoo->notes)) != NULL) {
        LIST_REMOVE(note, link);
        free(note);
    }
    tree_move(&zoo->tree, &none);
    free(zoo->behind);
    free(zoo->late);
    free(zoo->blob);
    free(zoo->bits);
    free(zoo->owned);
    free(zoo->sparse[0]);
    free(zoo->sparse[2]);
    free(zoo);
}

uint64_t zoo_fingerprint(const struct zoo *zoo)
{
    uint64_t hash = XXH3_64bits(zoo, sizeof(*zoo));
    struct zoo_request *request;
    struct zoo_note *note;

    hash = XXH3_64bits_withSeed(zoo->behind, sizeof(*zoo->behind), hash);
    hash = XXH3_64bits_withSeed(zoo->late, sizeof(*zoo->late), hash);
    hash = XXH3_64bits_withSeed(zoo->blob, 16, hash);
    hash = XXH3_64bits_withSeed(zoo->bits, 16, hash);
    hash = XXH3_64bits_withSeed(zoo->owned, zoo->owned_count * sizeof(*zoo->owned), hash);
    hash = XXH3_64bits_withSeed(zoo->sparse[0], sizeof(int32_t), hash);
    hash = XXH3_64bits_withSeed(zoo->sparse[2], sizeof(int32_t), hash);
    TAILQ_FOREACH (request, &zoo->requests, link) {
        hash = XXH3_64bits_withSeed(request, sizeof(*request), hash);
        hash = XXH3_64bits_withSeed(request->data, request->data_bytes, hash);
    }
    LIST_FOREACH (note, &zoo->notes, link)
        hash = XXH3_64bits_withSeed(note, sizeof(*note), hash);
    for (const struct zoo_node *node = zoo->tree; node; node = node->next)
        hash = XXH3_64bits_withSeed(node, sizeof(*node), hash);
    return hash;
}
