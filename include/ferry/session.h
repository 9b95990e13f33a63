/* SPDX-License-Identifier: BSD-3-Clause */
/* session.h - one migration, as each side sees it
 *
 *      source                                   destination
 *      ferry_source_start(guest, chan)          ferry_destination_listen(guest, listener)
 *      ... thread of its own ...                ... thread of its own ...
 *      ferry_session_wait()                     ferry_session_wait()
 *
 * Until the source has given the right to run away, any failure and any cancel leaves the source's guest running.  In
 * the ferry dialect it gives it away only when the destination has loaded and checked everything, and learns that the
 * guest runs there; in the plain qemu dialect the last byte is all it knows (docs/protocol.md).
 */
#ifndef FERRY_SESSION_H
#define FERRY_SESSION_H

#include <ferry/api.h>
#include <ferry/channel.h>
#include <ferry/error.h>
#include <ferry/escalation.h>
#include <ferry/guest.h>
#include <ferry/latency.h>
#include <ferry/options.h>
#include <ferry/rules.h>
#include <stdbool.h>
#include <stdint.h>

FERRY_BEGIN_DECLS

struct ferry_session;

enum ferry_phase {
    FERRY_PHASE_NONE,
    FERRY_PHASE_SETUP,     /* connecting, header, block list */
    FERRY_PHASE_ACTIVE,    /* pages move, the guest runs at the source */
    FERRY_PHASE_DEVICE,    /* the guest stands still: last pages, device state */
    FERRY_PHASE_COMPLETED, /* source: all sent; destination: all loaded, the guest runs */
    FERRY_PHASE_CANCELLING,
    FERRY_PHASE_CANCELLED,
    FERRY_PHASE_FAILED,          /* the guest is at the source */
    FERRY_PHASE_UNCERTAIN,       /* source: the right to run was given away, and no word came that it was taken;
                                  * destination: undecided, all is here but the right to run: ferry_session_settle() */
    FERRY_PHASE_POSTCOPY_ACTIVE, /* the guest runs at the destination, the rest of its memory follows */
    FERRY_PHASE_POSTCOPY_PAUSED, /* that was interrupted: the guest is at the destination, some of its memory is not; it
                                  * must not be started at the source any more */
    FERRY_PHASE_PRE_SWITCHOVER, /* the guest stands still at the source, and goes when ferry_session_continue() says so:
                                 * option `pause-before-switchover` */
    FERRY_PHASE_POSTCOPY_RECOVER_SETUP, /* source: it connects anew */
    FERRY_PHASE_POSTCOPY_RECOVER,       /* connected: what has come and what has not? */
};

/* "setup", "active", ...: QEMU's names. */
FERRY_API const char *ferry_phase_name(enum ferry_phase phase);

/* What the figures of the last round say about how this will end. */
enum ferry_verdict {
    FERRY_VERDICT_NONE,       /* no round is complete yet */
    FERRY_VERDICT_CONVERGING, /* what is left shrinks */
    FERRY_VERDICT_SWITCH,     /* what is left fits the downtime limit */
    FERRY_VERDICT_CANNOT,     /* the guest writes faster than the channel carries: see needed_bytes_per_sec */
    FERRY_VERDICT_STALLED, /* what is left does not fit the downtime limit and shrinks no more, though it is not that */
};

FERRY_API const char *ferry_verdict_name(enum ferry_verdict verdict);

struct ferry_time_stats {
    int64_t total_ns;             /* since the start of the session; final once it has ended */
    int64_t setup_ns;             /* until the first page */
    int64_t downtime_ns;          /* source: from stop to the last byte */
    int64_t expected_downtime_ns; /* by the figures of the last round */
    int64_t cpu_ns;               /* CPU time of this process since the start of the session */
};

/* Where the downtime went; they add up to it. */
struct ferry_downtime_stats {
    int64_t stop_ns;     /* until the guest stood still */
    int64_t paused_ns;   /* until ferry_session_continue(), with option `pause-before-switchover` */
    int64_t pages_ns;    /* last look at the dirty log, last pages put */
    int64_t devices_ns;  /* device state, flushed behind the last pages */
    int64_t transfer_ns; /* until the destination had the last byte; and the way back of its word that it is ready */
    int64_t load_ns;     /* between these two: what the destination had still to load and to check, by its word */
    int64_t start_ns;    /* until it said that the guest runs */
};

/* The other side, as this one sees it. */
struct ferry_peer_stats {
    char dialect[8];       /* "ferry", "qemu" */
    uint64_t protocol;     /* capabilities agreed; see ferry/capabilities.h */
    uint64_t device;       /* likewise */
    int64_t round_trip_ns; /* the fastest so far; 0: not measured */
    int64_t silent_ns;     /* how long nothing was heard, once that makes it suspect; else 0 */
    uint64_t loaded_bytes; /* of the main stream, as the destination says */
};

struct ferry_ram_stats {
    uint64_t total_bytes;     /* of all blocks */
    uint64_t remaining_bytes; /* dirty and not yet sent */
    uint64_t normal_pages;    /* sent, or received, with their content */
    uint64_t zero_pages;      /* sent, or received, as zero */
    uint64_t rounds;          /* how often the dirty log was read */
    uint64_t dirty_bytes_per_sec;
};

struct ferry_wire_stats {
    uint64_t bytes;                        /* on all channels, both pages and devices */
    uint64_t device_bytes;                 /* of these, device state */
    uint64_t iterative_bytes;              /* of these, what iterative devices put (ferry/iterative.h) */
    uint64_t bytes_per_sec;                /* in the last round */
    uint64_t needed_bytes_per_sec;         /* to converge, when the verdict is FERRY_VERDICT_CANNOT or _STALLED */
    uint64_t bearable_dirty_bytes_per_sec; /* likewise: or the guest would have to write no more than this */
};

/* Pages at fixed places of a file (option mapped-ram). */
struct ferry_mapped_stats {
    unsigned threads; /* 0: it is off */
    uint64_t bytes;   /* written or read at these places */
    char manner[32];  /* "page cache", "O_DIRECT", "O_DIRECT, io_uring" */
};

/* One connection of a session. */
struct ferry_channel_stats {
    char address[256];
    char role[8];        /* "main", "pages", "urgent" */
    uint64_t bytes;      /* carried so far, before encryption */
    char codecs[64];     /* pages: what they went through, by share: "zstd 98%, none 2%"; empty: nothing yet */
    int cpu;             /* pages: the processor its thread is kept on; -1: any */
    char tls_version[8]; /* "1.3"; empty: not encrypted */
    char tls_cipher[32]; /* "aes-256-gcm" */
    char tls_proof[16];  /* how its handshake was done: "certificate", "psk" (both in full), "session" (resumed) */
    bool tls_by_kernel;  /* the kernel encrypts */
    bool unused;         /* source, pages: with channels=auto, one that would bring nothing more */
    char zero_copy[24];  /* asked for: "on", "off" (not on this kind), "the kernel copies"; empty: not asked for */
};

/* Once the guest has gone to the destination before its memory. */
struct ferry_postcopy_stats {
    char state[12];  /* destination: "none", "advise", "discard", "listen", "running", "end" */
    int64_t time_ns; /* since the switch, until the last page */

    /* source */
    uint64_t requests;         /* host pages that the destination asked for */
    uint64_t repeated;         /* of these, asked for before */
    uint64_t already_sent;     /* of these, had gone already */
    uint64_t requested_pages;  /* sent because of that */
    uint64_t prefetched_pages; /* sent along, as their neighbours */
    uint64_t prefetch_hits;    /* requests that show that these were of use */

    /* destination */
    uint64_t discarded_pages;     /* that were to come after the switch */
    uint64_t missing_pages;       /* that did not yet */
    uint64_t received_pages;      /* that did */
    uint64_t asked;               /* host pages that were requested */
    uint64_t duplicates;          /* pages that came again, and were not used */
    uint64_t local;               /* touches that were answered here: pages of zeros */
    struct ferry_latency latency; /* of touches of missing pages, until they were there */
    uint64_t blocked_ns;          /* of all threads of the guest together */
    uint64_t all_blocked_ns;      /* while all of them were waiting at once */
    unsigned threads;             /* that ever waited: ferry_session_postcopy_threads() */

    /* both */
    uint64_t resumed;      /* how often it went on after an interruption */
    int64_t broken_ns;     /* how long it was interrupted, all told */
    uint64_t resent_pages; /* source: of what was on its way then, so many had not come, and went again */
};

/* One thread of the guest that touched missing pages. */
struct ferry_postcopy_thread {
    int tid;
    uint64_t faults;
    uint64_t blocked_ns;
    uint64_t max_ns;
};

struct ferry_stats {
    enum ferry_phase phase;
    enum ferry_verdict verdict;
    struct ferry_time_stats time;
    struct ferry_ram_stats ram;
    struct ferry_wire_stats wire;
    struct ferry_downtime_stats downtime;
    struct ferry_peer_stats peer;
    struct ferry_mapped_stats mapped;
    struct ferry_postcopy_stats postcopy;
    struct ferry_impaired_stats impaired;     /* destination: devices that refused their state (ferry/rules.h) */
    struct ferry_escalation_stats escalation; /* source */
    struct ferry_hot_stats hot;               /* source */
    char tracker[64];                         /* source: how dirty pages are found */
    char channel[256];
    char id[33]; /* 32 hexadecimal digits; in the ferry dialect the same at both ends; empty: nobody has come yet */
};

/**
 * ferry_source_start() - begin to send @guest over @chan
 * @guest: borrowed until ferry_session_free(); it keeps running
 * @chan: the session takes a reference of its own
 * @options: copied; NULL: defaults
 *
 * Returns a session whose thread runs, or NULL with @err set and nothing started.
 */
FERRY_API struct ferry_session *ferry_source_start(struct ferry_guest *guest, struct ferry_channel *chan,
                                                   const struct ferry_options *options, struct ferry_error *err);

/**
 * ferry_source_connect() - connect to a destination and begin to send @guest
 * @uri: as for ferry_channel_connect(); page channels (option `channels`) need tcp:, unix: or vsock:
 *
 * Tries for as long as the option `connect-timeout` says.  Otherwise as ferry_source_start().
 */
FERRY_API struct ferry_session *ferry_source_connect(struct ferry_guest *guest, const char *uri,
                                                     const struct ferry_options *options, struct ferry_error *err);

/* Begin to receive into @guest, and run it in the end.  @chan is the source's only connection.  The same rules. */
FERRY_API struct ferry_session *ferry_destination_start(struct ferry_guest *guest, struct ferry_channel *chan,
                                                        const struct ferry_options *options, struct ferry_error *err);

/**
 * ferry_destination_listen() - wait for a source, receive into @guest, and run it in the end
 * @guest: borrowed until ferry_session_free()
 * @listener: the session takes it, and closes it as soon as its source has come
 * @timeout_ms: for a source to come; FERRY_NO_DEADLINE
 * @options: copied; NULL: defaults
 *
 * The first connection that says a right hello, or sends a plain stream of QEMU's, is the source.  Others before it
 * (silent, foreign, of another session) are told why not and hung up on, and do not disturb the wait.  A session that
 * waits is in FERRY_PHASE_SETUP, is cancelled as any other, and counts its time from when its source came.
 *
 * Returns a session whose thread runs, or NULL with @err set, and @listener the caller's as before.
 */
FERRY_API struct ferry_session *ferry_destination_listen(struct ferry_guest *guest, struct ferry_listener *listener,
                                                         int timeout_ms, const struct ferry_options *options,
                                                         struct ferry_error *err);

/**
 * ferry_session_wait() - wait for the end
 *
 * Returns 0 when the session completed, -ETIMEDOUT when it goes on after @timeout_ms, -ECANCELED when it was
 * cancelled, -EOWNERDEAD when it is uncertain who runs the guest, or the error it failed with.  May be called again and
 * from any thread.
 *
 * -ENOTRECOVERABLE: postcopy was interrupted (FERRY_PHASE_POSTCOPY_PAUSED), and goes on only with
 * ferry_session_resume() at the source and ferry_session_recover() at the destination, after which this waits again.
 */
FERRY_API int ferry_session_wait(struct ferry_session *session, int timeout_ms, struct ferry_error *err);

/**
 * ferry_session_cancel() - give up
 *
 * Returns at once; at the source the guest goes on within 100 ms.  Harmless after the end, and too late once the
 * source has sent its last byte: then the session completes.  Of a postcopy that is interrupted it ends the attempts to
 * go on, and nothing else: it can be resumed as before.  Thread: any.
 */
FERRY_API void ferry_session_cancel(struct ferry_session *session);

/* Figures as of now.  Thread: any. */
FERRY_API void ferry_session_stats(struct ferry_session *session, struct ferry_stats *stats);

/**
 * ferry_session_settle() - decide an uncertain end by the other side's journal
 * @other_journal: path of it, or of a copy, however old
 *
 * At the source: the guest goes on here, when that journal says that it never will there (the phase is then
 * FERRY_PHASE_FAILED), or it is known to run there (FERRY_PHASE_COMPLETED).  At the destination: the guest is started
 * here, when the source has committed, or never will be.  What is decided is noted first, where there is a journal.
 *
 * Returns 0 when it is decided; -EAGAIN when that journal does not tell; -EINVAL when nothing is undecided, or it is
 * not the other side's; -ESTALE after ferry_session_release(), or when the option `lease` ran out; or what the journal,
 * or starting the guest, fails with.
 * Thread: any, after the end; starts the guest on the caller's.
 */
FERRY_API int ferry_session_settle(struct ferry_session *session, const char *other_journal,
                                   struct ferry_error *err) FERRY_CHECK;

/* What only an operator can know. */
enum ferry_word {
    FERRY_WORD_NONE,
    /* Not one instruction of this guest has run at the destination, and none ever will: its process is gone, and so
     * are its journal and whatever else could start the guest there. */
    FERRY_WORD_NEVER_RAN,
};

/**
 * ferry_session_revert() - after an end, the guest is to be at the source
 * @word: at the source FERRY_WORD_NEVER_RAN: an operator's, never a program's guess; elsewhere none is needed
 *
 * At the source: after an uncertain end, and in the qemu dialect after a completed one, the guest goes on here.  At a
 * destination that is undecided: notes that it never starts this guest, so that its journal releases the source.
 *
 * Returns -EPERM without the word; -EBUSY once the guest has run at the destination, where its disks are now: then no
 * word helps; else as ferry_session_settle().  The same threads.
 */
FERRY_API int ferry_session_revert(struct ferry_session *session, enum ferry_word word,
                                   struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_session_release() - let the guest go after the end
 *
 * Its memory and devices are the embedder's to throw away, and nothing can be settled or reverted here any more; the
 * journal stays, and is no longer held.  Changes no right: who may run the guest is who might before.  Harmless before
 * the end, and twice.  ferry_session_free() does it, too.  Thread: any.
 */
FERRY_API void ferry_session_release(struct ferry_session *session);

/**
 * ferry_session_channels() - its connections, as of now: the main one, then those of pages
 * @to: room for @room of them
 *
 * Returns how many there are, which may be more than @room.  Thread: any.
 */
FERRY_API unsigned ferry_session_channels(struct ferry_session *session, struct ferry_channel_stats *to, unsigned room);

/**
 * ferry_session_continue() - source: the guest, which stands still, may go now
 *
 * With option `pause-before-switchover` a migration waits for this in FERRY_PHASE_PRE_SWITCHOVER, for as long as it
 * takes; a cancel lets the guest go on here instead, and so does a destination that is lost meanwhile.  -EINVAL in any
 * other phase.  Thread: any.
 */
FERRY_API int ferry_session_continue(struct ferry_session *session, struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_session_start_postcopy() - source: let the guest go now; the rest of its memory follows
 *
 * Needs the option `postcopy`, which both sides agreed to at the beginning.  Returns at once; the switch comes as soon
 * as the devices allow it.  Asked before the first page is sent, it comes then.  Harmless when it has been asked before
 * and after the end.  -EPERM where that was not agreed to.  Thread: any.
 */
FERRY_API int ferry_session_start_postcopy(struct ferry_session *session, struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_session_pause() - break a postcopy that runs, on purpose
 *
 * Both ends come to FERRY_PHASE_POSTCOPY_PAUSED as after any interruption, but this one does not try to go on by
 * itself, whatever `postcopy-retry` says.  -EINVAL when none runs.  Returns at once.  Thread: any.
 */
FERRY_API int ferry_session_pause(struct ferry_session *session, struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_session_resume() - source: a postcopy that is paused goes on over new connections
 * @uri: where the destination listens now; copied.  Later interruptions look for it there
 *
 * Returns at once; what fails afterwards leaves it paused, with the error that ferry_session_wait() then returns, and
 * may be tried again.  The destination must be of the same session: where TLS is on by the key of its first
 * connection, else by a secret of the switch.  -EINVAL when nothing is paused here, or it is under way already.
 * Thread: any.
 */
FERRY_API int ferry_session_resume(struct ferry_session *session, const char *uri, struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_session_recover() - destination: a postcopy that is paused waits for its source
 * @listener: the session takes it on success
 *
 * As ferry_session_resume().  Who else connects is told that nothing is for him here, and harms nothing.
 */
FERRY_API int ferry_session_recover(struct ferry_session *session, struct ferry_listener *listener,
                                    struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_session_postcopy_threads() - destination: the threads of the guest that waited for pages
 * @to: room for @room of them
 *
 * Returns how many there are, which may be more than @room; at most 256 are told apart.  Thread: any.
 */
FERRY_API unsigned ferry_session_postcopy_threads(struct ferry_session *session, struct ferry_postcopy_thread *to,
                                                  unsigned room);

/* Change a live option of a running session.  Thread: any. */
FERRY_API int ferry_session_set_option(struct ferry_session *session, const char *name, const char *value,
                                       struct ferry_error *err) FERRY_CHECK;

/* Cancels what still runs, waits for it, frees.  NULL is legal. */
FERRY_API void ferry_session_free(struct ferry_session *session);

FERRY_END_DECLS

#endif
