/* SPDX-License-Identifier: BSD-3-Clause */
/* return_path.c - messages from destination to source */
#include "return_path.h"

static int send_be32(struct ferry_writer *writer, enum return_path_message type, uint32_t value,
                     struct ferry_error *err)
{
    ferry_put_be16(writer, (uint16_t)type);
    ferry_put_be16(writer, sizeof(value));
    ferry_put_be32(writer, value);
    return ferry_writer_flush(writer, err);
}

int return_path_pong(struct ferry_writer *writer, uint32_t cookie, struct ferry_error *err)
{
    return send_be32(writer, RETURN_PATH_PONG, cookie, err);
}

int return_path_shut(struct ferry_writer *writer, uint32_t status, struct ferry_error *err)
{
    return send_be32(writer, RETURN_PATH_SHUT, status, err);
}
