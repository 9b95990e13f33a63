/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_desc.c - the description at a stream's end (JSON), and what it says about sizes
 *
 * Recursive descent over text that is changed in place: a string's escapes are undone where it lies and its closing
 * quote becomes its NUL.  Depth and number of nodes are bounded, so a hostile text costs no more than a large one.
 */
#include "inspect_desc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_NODES 1024

struct desc_chunk {
    struct desc_chunk *next;
    unsigned used;
    struct desc nodes[CHUNK_NODES];
};

struct parser {
    struct desc_tree *tree;
    char *at, *end;
    unsigned depth;
    struct ferry_error *err;
};

static int parse_value(struct parser *parser, struct desc *node);

static int fault(struct parser *parser, const char *what)
{
    return ferry_error_set(parser->err, -EPROTO, "the description is damaged at its byte %zu: %s",
                           (size_t)(parser->at - parser->tree->text), what);
}

static struct desc *new_node(struct parser *parser)
{
    struct desc_tree *tree = parser->tree;
    struct desc_chunk *chunk = tree->chunks;

    if (tree->nodes == DESC_NODES_MAX) {
        fault(parser, "it has too many parts");
        return NULL;
    }
    if (!chunk || chunk->used == CHUNK_NODES) {
        chunk = calloc(1, sizeof(*chunk));
        if (!chunk) {
            ferry_error_set(parser->err, -ENOMEM, "no memory for the description");
            return NULL;
        }
        chunk->next = tree->chunks;
        tree->chunks = chunk;
    }
    tree->nodes++;
    return &chunk->nodes[chunk->used++];
}

static void skip_space(struct parser *parser)
{
    while (parser->at < parser->end && *parser->at && strchr(" \t\r\n", *parser->at))
        parser->at++;
}

/* Take @c if it comes next. */
static bool take(struct parser *parser, char c)
{
    skip_space(parser);
    if (parser->at == parser->end || *parser->at != c)
        return false;
    parser->at++;
    return true;
}

/* ---- strings --------------------------------------------------------------------------------------------------- */

static int hex4(const char *at, const char *end)
{
    int value = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef", *found = at[i] ? strchr(digits, at[i] | 0x20) : NULL;

        if (!found)
            return -1;
        value = value * 16 + (int)(found - digits);
    }
    return value;
}

/* One UTF-16 unit as UTF-8; halves of pairs are kept as they are, since names are only shown.  Never NUL. */
static char *put_unit(char *to, unsigned unit)
{
    if (unit < 0x80) {
        *to++ = (char)unit;
    } else if (unit < 0x800) {
        *to++ = (char)(0xc0 | unit >> 6);
        *to++ = (char)(0x80 | (unit & 0x3f));
    } else {
        *to++ = (char)(0xe0 | unit >> 12);
        *to++ = (char)(0x80 | (unit >> 6 & 0x3f));
        *to++ = (char)(0x80 | (unit & 0x3f));
    }
    return to;
}

static int undo_escape(struct parser *parser, char **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    const char *found;
    int unit;

    if (parser->at == parser->end || !*parser->at)
        return fault(parser, "a string without end");
    if (*parser->at == 'u') {
        unit = hex4(parser->at + 1, parser->end);
        if (unit <= 0)
            return fault(parser, "no character");
        *to = put_unit(*to, (unsigned)unit);
        parser->at += 5;
        return 0;
    }
    found = strchr(from, *parser->at);
    if (!found)
        return fault(parser, "an unknown escape");
    *(*to)++ = into[found - from];
    parser->at++;
    return 0;
}

/* The opening quote is taken. */
static int parse_string(struct parser *parser, const char **text)
{
    char *to = parser->at;

    *text = to;
    while (parser->at < parser->end && *parser->at != '"') {
        if ((unsigned char)*parser->at < 0x20)
            return fault(parser, "a control character in a string");
        if (*parser->at != '\\') {
            *to++ = *parser->at++;
            continue;
        }
        parser->at++;
        if (undo_escape(parser, &to) < 0)
            return -EPROTO;
    }
    if (parser->at == parser->end)
        return fault(parser, "a string without end");
    parser->at++;
    *to = '\0';
    return 0;
}

/* ---- everything else ------------------------------------------------------------------------------------------- */

static int parse_number(struct parser *parser, struct desc *node)
{
    bool negative = *parser->at == '-', whole = true, digits = false;
    uint64_t value = 0;

    if (negative)
        parser->at++;
    for (; parser->at < parser->end && *parser->at && strchr("0123456789.eE+-", *parser->at); parser->at++) {
        unsigned digit = (unsigned)(*parser->at - '0');

        digits = digits || digit <= 9;
        if (digit > 9 || value > ((uint64_t)INT64_MAX - digit) / 10)
            whole = false;
        else if (whole)
            value = value * 10 + digit;
    }
    if (!digits)
        return fault(parser, "no value");
    node->kind = whole ? DESC_INTEGER : DESC_OTHER;
    node->number = negative ? -(int64_t)value : (int64_t)value;
    return 0;
}

static int parse_word(struct parser *parser, struct desc *node)
{
    static const char *const words[] = { "true", "false", "null" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t bytes = strlen(words[i]);

        if ((size_t)(parser->end - parser->at) < bytes || memcmp(parser->at, words[i], bytes) != 0)
            continue;
        parser->at += bytes;
        node->kind = DESC_OTHER;
        return 0;
    }
    return fault(parser, "no value");
}

/* What stands in an object or array, whose opening bracket is taken. */
static int parse_members(struct parser *parser, struct desc *parent, char close)
{
    const struct desc **link = &parent->first;
    int ret;

    if (take(parser, close))
        return 0;
    do {
        struct desc *node = new_node(parser);

        if (!node)
            return -EPROTO;
        if (parent->kind == DESC_OBJECT) {
            if (!take(parser, '"'))
                return fault(parser, "a member without a name");
            ret = parse_string(parser, &node->key);
            if (ret == 0 && !take(parser, ':'))
                ret = fault(parser, "a member without a value");
            if (ret < 0)
                return ret;
        }
        ret = parse_value(parser, node);
        if (ret < 0)
            return ret;
        parent->number++;
        *link = node;
        link = (const struct desc **)&node->next;
    } while (take(parser, ','));
    return take(parser, close) ? 0 : fault(parser, "an object or array without end");
}

static int parse_value(struct parser *parser, struct desc *node)
{
    int ret;

    skip_space(parser);
    if (parser->at == parser->end)
        return fault(parser, "it ends too early");
    if (take(parser, '"')) {
        node->kind = DESC_STRING;
        return parse_string(parser, &node->text);
    }
    if (*parser->at == '-' || (*parser->at >= '0' && *parser->at <= '9'))
        return parse_number(parser, node);
    if (*parser->at != '{' && *parser->at != '[')
        return parse_word(parser, node);
    if (parser->depth == DESC_DEPTH_MAX)
        return fault(parser, "it nests too deeply");
    parser->depth++;
    node->kind = *parser->at++ == '{' ? DESC_OBJECT : DESC_ARRAY;
    ret = parse_members(parser, node, node->kind == DESC_OBJECT ? '}' : ']');
    parser->depth--;
    return ret;
}

int desc_parse(struct desc_tree *tree, char *text, size_t bytes, struct ferry_error *err)
{
    struct parser parser = { .tree = tree, .at = text, .end = text + bytes, .err = err };
    struct desc *root;
    int ret = -EPROTO;

    memset(tree, 0, sizeof(*tree));
    tree->text = text;
    root = new_node(&parser);
    if (root)
        ret = parse_value(&parser, root);
    skip_space(&parser);
    if (ret == 0 && root->kind != DESC_OBJECT)
        ret = fault(&parser, "it is no object");
    if (ret == 0 && parser.at != parser.end)
        ret = fault(&parser, "more behind its end");
    if (ret < 0)
        desc_clear(tree);
    else
        tree->root = root;
    return ret;
}

void desc_clear(struct desc_tree *tree)
{
    while (tree->chunks) {
        struct desc_chunk *next = tree->chunks->next;

        free(tree->chunks);
        tree->chunks = next;
    }
    free(tree->text);
    memset(tree, 0, sizeof(*tree));
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

static const struct desc *find(const struct desc *from, const char *key)
{
    while (from && (!from->key || strcmp(from->key, key) != 0))
        from = from->next;
    return from;
}

const struct desc *desc_member(const struct desc *object, const char *key)
{
    return object && object->kind == DESC_OBJECT ? find(object->first, key) : NULL;
}

const char *desc_text(const struct desc *object, const char *key, const char *otherwise)
{
    const struct desc *member = desc_member(object, key);

    return member && member->kind == DESC_STRING ? member->text : otherwise;
}

uint64_t desc_number(const struct desc *object, const char *key, uint64_t otherwise)
{
    const struct desc *member = desc_member(object, key);

    return member && member->kind == DESC_INTEGER && member->number >= 0 ? (uint64_t)member->number : otherwise;
}

static const struct desc *array(const struct desc *member)
{
    return member && member->kind == DESC_ARRAY ? member : NULL;
}

struct desc_body desc_body_of(const struct desc *object)
{
    return (struct desc_body){ array(desc_member(object, "fields")), array(desc_member(object, "subsections")) };
}

int desc_next_body(const struct desc **from, struct desc_body *body)
{
    const struct desc *at = find(*from, "fields");

    if (!at)
        return 0;
    *body = (struct desc_body){ .fields = array(at) };
    for (at = at->next; at && strcmp(at->key, "fields") != 0 && strcmp(at->key, "vmsd_name") != 0; at = at->next)
        if (!strcmp(at->key, "subsections"))
            body->subsections = array(at);
    *from = at;
    return 1;
}

int desc_field_size(const struct desc *field, uint64_t *count, uint64_t *bytes)
{
    *bytes = desc_number(field, "size", UINT64_MAX);
    *count = desc_number(field, "array_len", 1);
    return *bytes <= DESC_SIZE_MAX && *count <= DESC_SIZE_MAX && (*count == 0 || *bytes <= DESC_SIZE_MAX / *count);
}

static uint64_t sum_fields(const struct desc *fields)
{
    uint64_t sum = 0, count, bytes;

    for (const struct desc *field = fields->first; field && sum <= DESC_SIZE_MAX; field = field->next) {
        if (!desc_field_size(field, &count, &bytes))
            return UINT64_MAX;
        sum += count * bytes;
    }
    return sum <= DESC_SIZE_MAX ? sum : UINT64_MAX;
}

static uint64_t sum_subsections(const struct desc *subsections)
{
    uint64_t sum = 0;

    for (const struct desc *sub = subsections->first; sub && sum <= DESC_SIZE_MAX; sub = sub->next) {
        struct desc_body inner = desc_body_of(sub);
        uint64_t bytes = desc_body_bytes(&inner);

        if (bytes == UINT64_MAX)
            return UINT64_MAX;
        sum += 1 + 1 + strlen(desc_text(sub, "vmsd_name", "")) + 4 + bytes;
    }
    return sum <= DESC_SIZE_MAX ? sum : UINT64_MAX;
}

/* Summed once for each list: a hostile description has one list visited very often. */
static uint64_t sum_once(const struct desc *list, uint64_t (*sum)(const struct desc *list))
{
    uint64_t bytes;

    if (!list)
        return 0;
    if (list->bytes == 0) {
        bytes = sum(list);
        ((struct desc *)list)->bytes = bytes == UINT64_MAX ? UINT64_MAX : bytes + 1;
    }
    return list->bytes == UINT64_MAX ? UINT64_MAX : list->bytes - 1;
}

uint64_t desc_body_bytes(const struct desc_body *body)
{
    uint64_t fields = sum_once(body->fields, sum_fields);
    uint64_t subsections = sum_once(body->subsections, sum_subsections);

    if (fields == UINT64_MAX || subsections == UINT64_MAX || fields + subsections > DESC_SIZE_MAX)
        return UINT64_MAX;
    return fields + subsections;
}
