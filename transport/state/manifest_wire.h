/* SPDX-License-Identifier: BSD-3-Clause */
/* manifest_wire.h - the numbers of a manifest on the wire
 *
 *     manifest   be16 1 (format) | item*
 *     item       be16 type | be32 length | value; unknown types are passed over, 0 is invalid
 *     text       be16 length | bytes, no NUL among them
 *
 *     1 PAGES    be32 bytes of a guest page
 *     2 MACHINE  text
 *     3 BLOCK    be64 length | be32 page size | be32 flags | text name
 *     4 DEVICE   be32 instance | be32 alias | be32 flags | text idstr | text model | item*:
 *       5 SETTING   text name | text value
 *       6 FORM      item*:
 *         7 PART       be32 version | be32 described | be32 minimum | be32 flags | text name | text where | item*:
 *           8 FIELD       u8 kind | u8 count kind | be16 0 | be32 flags | be32 version | be64 factor | be64 most
 *                         | text path | text type
 *
 * What stands before "item*" is fixed; whatever is added later is a new item.
 */
#ifndef STATE_MANIFEST_WIRE_H
#define STATE_MANIFEST_WIRE_H

#define MANIFEST_FORMAT 1
#define ITEM_HEAD_BYTES 6

enum item_type {
    ITEM_PAGES = 1,
    ITEM_MACHINE = 2,
    ITEM_BLOCK = 3,
    ITEM_DEVICE = 4,
    ITEM_SETTING = 5,
    ITEM_FORM = 6,
    ITEM_PART = 7,
    ITEM_FIELD = 8,
};

#endif
