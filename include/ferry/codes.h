/* SPDX-License-Identifier: BSD-3-Clause */
/* codes.h - what can go wrong, by number and by name
 *
 * The numbers cross the wire and stand in reports and scripts: none is ever changed or used again, new ones are added
 * within their group.  The name of FERRY_E_CONNECTION_REFUSED is "connection-refused", and so for all.
 */
#ifndef FERRY_CODES_H
#define FERRY_CODES_H

#include <ferry/api.h>

FERRY_BEGIN_DECLS

enum ferry_code {
    FERRY_E_NONE = 0,

    /* connecting */
    FERRY_E_CONNECTION_REFUSED = 101,
    FERRY_E_CONNECTION_TIMEOUT = 102,
    FERRY_E_CONNECTION_LOST = 103,
    FERRY_E_UNREACHABLE = 104,
    FERRY_E_NAME_UNKNOWN = 105,
    FERRY_E_ADDRESS_IN_USE = 106,
    FERRY_E_ADDRESS_INVALID = 107,
    FERRY_E_NOBODY_CONNECTED = 108,
    FERRY_E_PEER_SILENT = 109,
    FERRY_E_COMMAND_FAILED = 110,
    FERRY_E_ONE_WAY_CHANNEL = 111,
    FERRY_E_TLS_CREDENTIALS = 112,
    FERRY_E_TLS_UNTRUSTED = 113,
    FERRY_E_TLS_REFUSED = 114,
    FERRY_E_TLS_EXPECTED = 115,
    FERRY_E_TLS_BROKEN = 116,

    /* the protocol */
    FERRY_E_NOT_A_STREAM = 201,
    FERRY_E_STREAM_VERSION = 202,
    FERRY_E_STREAM_BROKEN = 203,
    FERRY_E_STREAM_ENDED = 204,
    FERRY_E_UNKNOWN_SECTION = 205,
    FERRY_E_UNKNOWN_COMMAND = 206,
    FERRY_E_UNKNOWN_CAPABILITY = 207,
    FERRY_E_BAD_PAGE_RECORD = 208,
    FERRY_E_BAD_RETURN_MESSAGE = 209,
    FERRY_E_BAD_HELLO = 210,
    FERRY_E_PROTOCOL_VERSION = 211,
    FERRY_E_FOREIGN_CONNECTION = 212,
    FERRY_E_PEER_FAILED = 213,

    /* the two ends disagree */
    FERRY_E_MACHINE_MISMATCH = 301,
    FERRY_E_UNKNOWN_BLOCK = 302,
    FERRY_E_BLOCK_LENGTH = 303,
    FERRY_E_PAGE_SIZE = 304,
    FERRY_E_UNKNOWN_DEVICE = 305,
    FERRY_E_DEVICE_MISSING = 306,
    FERRY_E_DEVICE_VERSION = 307,
    FERRY_E_DEVICE_CONFIGURATION = 308,
    FERRY_E_CAPABILITY_MISSING = 309,
    FERRY_E_REFUSED = 310,

    /* memory */
    FERRY_E_BAD_BLOCK = 401,
    FERRY_E_NO_DIRTY_TRACKING = 402,
    FERRY_E_DIRTY_TRACKING_FAILED = 403,
    FERRY_E_PAGE_NOT_PLACED = 404,
    FERRY_E_MEMORY_LIMIT = 405,
    FERRY_E_MEMORY_INCOMPLETE = 406,
    FERRY_E_POSTCOPY_UNSUPPORTED = 407,
    FERRY_E_PAGES_MISSING = 408,

    /* devices */
    FERRY_E_DEVICE_REFUSED = 501,
    FERRY_E_DEVICE_UNMIGRATABLE = 502,
    FERRY_E_DEVICE_NOT_SAVED = 503,
    FERRY_E_DEVICE_NOT_READY = 504,
    FERRY_E_DEVICE_SELF_CHECK = 505,

    /* convergence, cancelling, limits */
    FERRY_E_CANNOT_CONVERGE = 601,
    FERRY_E_CANCELLED = 602,
    FERRY_E_OUT_OF_TIME = 603,
    FERRY_E_BAD_OPTION = 604,
    FERRY_E_BLOCKED = 605,

    /* the switch */
    FERRY_E_GUEST_NOT_STOPPED = 701,
    FERRY_E_GUEST_NOT_STARTED = 702,
    FERRY_E_UNCERTAIN = 703,
    FERRY_E_UNDECIDED = 704,
    FERRY_E_BAD_TOKEN = 705,
    FERRY_E_NOT_READY = 706,
    FERRY_E_JOURNAL = 707,
    FERRY_E_VERIFICATION = 708,
    FERRY_E_POSTCOPY_INTERRUPTED = 709,
    FERRY_E_POSTCOPY_ORDER = 710,

    /* guest and host */
    FERRY_E_OUT_OF_MEMORY = 801,
    FERRY_E_NOT_PERMITTED = 802,
    FERRY_E_OUT_OF_DESCRIPTORS = 803,
    FERRY_E_NO_SPACE = 804,
    FERRY_E_NOT_SUPPORTED = 805,
    FERRY_E_NOT_FOUND = 806,
    FERRY_E_INPUT_OUTPUT = 807,

    /* within */
    FERRY_E_INTERNAL = 901,
    FERRY_E_INVALID_ARGUMENT = 902,
    FERRY_E_SHUT_DOWN = 903,
};

/* One row of the table; texts are constants in English. */
struct ferry_code_info {
    enum ferry_code code;
    int errnum;              /* what a function returns with it when nothing fits better */
    const char *name;        /* "connection-refused" */
    const char *summary;     /* one line, no full stop */
    const char *explanation; /* a few sentences: what it means and what usually causes it */
    const char *hint;        /* what a person may do */
};

/* The i-th row, in the order of the numbers; NULL behind the last.  Thread, for all here: any. */
FERRY_API const struct ferry_code_info *ferry_code_at(unsigned index);

/* The row of @code; NULL for none and for a number that only a newer peer knows. */
FERRY_API const struct ferry_code_info *ferry_code_info(enum ferry_code code);

/* The row that @text names, by name or number; NULL when there is none. */
FERRY_API const struct ferry_code_info *ferry_code_find(const char *text);

/* Its name; "none" for none, "unknown" for a number that is not in the table. */
FERRY_API const char *ferry_code_name(enum ferry_code code);

/* What its group is about: "connecting". */
FERRY_API const char *ferry_code_group(enum ferry_code code);

/* The code that stands for a negative errno of which nothing more is known; FERRY_E_NONE for 0. */
FERRY_API enum ferry_code ferry_code_of_errnum(int errnum);

FERRY_END_DECLS

#endif
