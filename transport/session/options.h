/* SPDX-License-Identifier: BSD-3-Clause */
/* options.h - the values behind the table of options */
#ifndef SESSION_OPTIONS_H
#define SESSION_OPTIONS_H

#include <ferry/options.h>
#include <stdint.h>

enum tracker_choice {
    TRACKER_AUTO,
    TRACKER_UFFD_ASYNC,
    TRACKER_UFFD_SYNC,
};

enum peer_choice {
    PEER_AUTO, /* ferry where somebody answers, else qemu */
    PEER_FERRY,
    PEER_QEMU,
};

/* From this version of QEMU on, until the next. */
enum peer_version_choice {
    PEER_VERSION_AUTO,
    PEER_VERSION_7_2,
    PEER_VERSION_8_1,
    PEER_VERSION_9_0,
};

enum not_yet_policy {
    NOT_YET_FAIL,
    NOT_YET_FORCE,
};

/* In the order of the option's words. */
enum compress_choice {
    COMPRESS_NONE,
    COMPRESS_ZLIB,
    COMPRESS_ZSTD,
    COMPRESS_LZ4,
    COMPRESS_XBZRLE,
    COMPRESS_AUTO,
};

enum sums_choice {
    SUMS_AUTO, /* where TLS does not protect the pages already */
    SUMS_ON,
    SUMS_OFF,
};

enum mapped_ram_choice {
    MAPPED_RAM_AUTO, /* source: off; destination: as the file says */
    MAPPED_RAM_ON,
    MAPPED_RAM_OFF,
};

enum zero_copy_choice {
    ZERO_COPY_OFF,
    ZERO_COPY_ON,    /* MSG_ZEROCOPY */
    ZERO_COPY_URING, /* io_uring's SEND_ZC */
};

enum postcopy_choice {
    POSTCOPY_OFF,
    POSTCOPY_ON,   /* agreed to; when somebody says so, or after so many rounds or so long */
    POSTCOPY_AUTO, /* likewise, and when precopy cannot converge */
    POSTCOPY_NOW,  /* before the first page */
};

enum preempt_choice {
    PREEMPT_OFF,
    PREEMPT_ON,
    PREEMPT_EARLY, /* connected at the start, ended by an EOS */
};

enum tls_min_choice {
    TLS_MIN_1_3,
    TLS_MIN_1_2,
};

enum hot_pages_choice {
    HOT_PAGES_LAST,
    HOT_PAGES_AS_FOUND,
};

#define OPTION_TEXT_BYTES 1024 /* of a text, its NUL included */

#define OPTION_AUTO UINT64_MAX /* of a number that may be left to us */

/* Who is told of each step towards the right to run, before anything follows it: tests, which end the process there.
 * It is in no table and has no name; NULL: nobody. */
struct options_steps {
    void (*at)(void *opaque, const char *step);
    void *opaque;
};

struct ferry_options {
    uint64_t max_bandwidth; /* bytes per second; UNITS_UNLIMITED */
    uint64_t max_postcopy_bandwidth;
    uint64_t max_total_bandwidth;
    uint64_t downtime_limit_ns;
    uint64_t pause_before_switchover; /* 0 or 1 */
    uint64_t give_up_after;           /* rounds; 0: never */
    char escalate[OPTION_TEXT_BYTES]; /* empty: nothing; ladder_parse() takes it */
    uint64_t auto_converge;           /* 0 or 1 */
    uint64_t cpu_throttle_initial;    /* percent, as the next three */
    uint64_t cpu_throttle_increment;
    uint64_t max_cpu_throttle;
    uint64_t throttle_bearable;
    uint64_t throttle_peak_ns; /* 0: no bound */
    uint64_t dirty_limit;      /* 0 or 1 */
    uint64_t vcpu_dirty_limit; /* bytes per second */
    uint64_t hot_pages;        /* enum hot_pages_choice */
    uint64_t connect_timeout_ns;
    uint64_t setup_timeout_ns;
    uint64_t not_yet_limit_ns;
    uint64_t not_yet_policy; /* enum not_yet_policy */
    uint64_t prefault;       /* 0 or 1 */
    uint64_t tracker;        /* enum tracker_choice */
    uint64_t peer;           /* enum peer_choice */
    uint64_t peer_version;   /* enum peer_version_choice */
    uint64_t return_path;    /* 0 or 1: in the qemu dialect, where somebody answers */
    uint64_t suspect_after_ns;
    uint64_t lost_after_ns;
    uint64_t channels;                 /* page channels; 0: pages travel on the main connection; OPTION_AUTO */
    uint64_t batch_pages;              /* the most pages in one packet */
    uint64_t compress;                 /* enum compress_choice */
    uint64_t compress_level;           /* OPTION_AUTO: the codec's own default */
    uint64_t page_sums;                /* enum sums_choice */
    uint64_t pin_threads;              /* 0 or 1 */
    uint64_t zero_copy_send;           /* enum zero_copy_choice */
    uint64_t postcopy;                 /* enum postcopy_choice */
    uint64_t postcopy_after_rounds;    /* 0: never */
    uint64_t postcopy_after_ns;        /* 0: never */
    uint64_t postcopy_preempt;         /* enum preempt_choice */
    uint64_t postcopy_prefetch;        /* pages */
    uint64_t postcopy_retry_ns;        /* after an interruption; 0: not at all */
    uint64_t mapped_ram;               /* enum mapped_ram_choice */
    char tls_creds[OPTION_TEXT_BYTES]; /* empty: no TLS */
    char tls_hostname[OPTION_TEXT_BYTES];
    char tls_authz[OPTION_TEXT_BYTES];
    char tls_identity[OPTION_TEXT_BYTES];
    char tls_ciphers[OPTION_TEXT_BYTES];
    char journal[OPTION_TEXT_BYTES]; /* empty: none */
    char dirty_trace[OPTION_TEXT_BYTES];
    uint64_t lease_ns;              /* 0: until the session is let go */
    uint64_t tls_min;               /* enum tls_min_choice */
    uint64_t tls_verify;            /* 0 or 1 */
    uint64_t protocol_capabilities; /* bits offered */
    uint64_t device_capabilities;
    struct options_steps steps;
};

/* Tell it.  NULL is legal. */
void options_at_step(const struct options_steps *steps, const char *step);

/* @at is called on threads of the session, and may block. */
void options_set_steps(struct ferry_options *options, void (*at)(void *opaque, const char *step), void *opaque);

/* -ENOENT for an unknown name, -EPERM for one that is not live. */
int options_check_live(const char *name, struct ferry_error *err);

#endif
