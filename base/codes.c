/* SPDX-License-Identifier: BSD-3-Clause */
/* codes.c - what can go wrong: its table, and the ways into it
 *
 * `ferry explain` and docs/errors.md are made from this table, and whatever has no hint of its own takes the one here.
 */
#include <errno.h>
#include <ferry/codes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct ferry_code_info rows[] = {
    { FERRY_E_CONNECTION_REFUSED, -ECONNREFUSED, "connection-refused", "nobody accepts connections at the address",
      "The host was reached and said no: no process listens at this port, or at this path. Mostly the destination "
      "has not been started yet, has ended already, or listens at another address or port.",
      "start 'ferry recv' there first, or let the source try for longer with connect-timeout" },
    { FERRY_E_CONNECTION_TIMEOUT, -ETIMEDOUT, "connection-timeout", "the other end did not answer in time",
      "Nothing came back within the time that was given, neither yes nor no. A firewall that drops packets, a wrong "
      "address, a host that is down or a destination that is busy with another migration look like this.",
      "check the address and the firewalls in between, or give it more time" },
    { FERRY_E_CONNECTION_LOST, -ECONNRESET, "connection-lost", "the connection broke in the middle of the migration",
      "The other end is gone, or the network between the two. Mostly the other process has failed or was killed, and "
      "its own report says why; without one, look for the out-of-memory killer and for the link. Before the switch "
      "the guest goes on at the source.",
      "look at the report and the log of the other end, then try again" },
    { FERRY_E_UNREACHABLE, -EHOSTUNREACH, "unreachable", "there is no way to the host",
      "The network says that the host, or its network, cannot be reached: a missing route, a link that is down, or a "
      "firewall that refuses. Nothing was heard of the host itself.",
      "check the address, the route to it, and the link" },
    { FERRY_E_NAME_UNKNOWN, -EADDRNOTAVAIL, "name-unknown", "the name of the host has no address here",
      "The name could not be turned into an address, or the address is of a kind or a host that is not this one. A "
      "misspelt name and a name service that is not reachable are the usual causes.",
      "check the spelling, or give the address as a number" },
    { FERRY_E_ADDRESS_IN_USE, -EADDRINUSE, "address-in-use", "another process listens at the address already",
      "An address can have one listener only. Often it is an earlier destination that was not ended.",
      "choose another port (0 takes a free one), or end whoever listens there" },
    { FERRY_E_ADDRESS_INVALID, -EINVAL, "address-invalid", "the URI is not one that is understood",
      "The text does not have the form of an address, or has options that its kind does not know. The forms are "
      "tcp:HOST:PORT, unix:PATH, vsock:CID:PORT, fd:N, exec:COMMAND and file:PATH[,offset=N].",
      "write it in one of these forms" },
    { FERRY_E_NOBODY_CONNECTED, -ETIMEDOUT, "nobody-connected", "no source came within the time that was given",
      "The destination listened for as long as it was told to and nobody connected. The source may have failed "
      "before, or may have been given another address.",
      "check that the source uses this address, or wait longer" },
    { FERRY_E_PEER_SILENT, -ETIMEDOUT, "peer-silent", "the other end was not heard of for too long",
      "Both ends send a sign of life even when there is nothing to say, and none came. The connection is not closed, "
      "so the host of the other end may be down or hang, or the network in between may swallow packets. Before the "
      "switch the guest goes on at the source.",
      "check the link and the other host, then try again" },
    { FERRY_E_COMMAND_FAILED, -EIO, "command-failed", "the command behind exec: failed",
      "The command that carries the stream ended with a status other than 0, was killed, or ended before it had read "
      "everything. What it had to say it wrote to its standard error.",
      "run the command by itself and look at what it says" },
    { FERRY_E_ONE_WAY_CHANNEL, -ENOTSUP, "one-way-channel", "the channel does not carry bytes in this direction",
      "A file, a pipe and some commands carry bytes one way only, and this asks for the other: reading what can only "
      "be written, writing what can only be read, or an answer from the destination where there is no way back. The "
      "kind of the channel decides this, not its state.",
      "use a socket, or switch off what needs answers" },
    { FERRY_E_TLS_CREDENTIALS, -EINVAL, "tls-credentials", "the certificates or keys for TLS cannot be used",
      "A file is missing, cannot be read or is damaged, a certificate has expired, is not valid yet, is for another "
      "purpose or is not signed by the authority beside it, or a key does not fit its certificate. The sentence names "
      "the file. Nothing was sent.",
      "correct the file that the sentence names; 'ferry keys check' looks at all of them" },
    { FERRY_E_TLS_UNTRUSTED, -EACCES, "tls-untrusted", "the other end could not prove who it is",
      "Its certificate is not signed by the authority that is trusted here, is not valid now, is for another name or "
      "purpose or was revoked; or its key is not the one that is known here; or it is none of those that may come in. "
      "It may be misconfigured, or somebody else who answers in its place.",
      "compare the certificates or keys of both ends" },
    { FERRY_E_TLS_REFUSED, -EACCES, "tls-refused", "the two ends could not agree on TLS",
      "The other end did not accept our certificate or key, or wants what is not taken here: an older version, another "
      "cipher, a new handshake in the middle of the stream. There is no falling back to something weaker.",
      "compare the TLS options of both ends; the log of the other end may say more" },
    { FERRY_E_TLS_EXPECTED, -EPROTO, "tls-expected", "one end uses TLS and the other does not",
      "The first bytes were not those of TLS where TLS is required, or the other end hung up on them. Mostly TLS is "
      "switched on at one end only. Nothing of the guest was sent in the clear.",
      "switch TLS on, or off, at both ends" },
    { FERRY_E_TLS_BROKEN, -EBADMSG, "tls-broken", "the encrypted stream was changed on its way",
      "A record is not the one that the other end sealed, or is not well formed. Bytes were changed between the two "
      "ends, by accident or on purpose, or one of the two is broken. Nothing of the record was used.",
      "look at what is between the two hosts, then try again" },

    { FERRY_E_NOT_A_STREAM, -EPROTO, "not-a-stream", "what came is not a migration stream",
      "The first bytes are not those that every migration begins with. The other end speaks something else (a web "
      "browser, a health check, TLS where none is expected), or a file is not what it was taken for.",
      "check that both ends use the same address, dialect and encryption; 'ferry inspect' looks into a file" },
    { FERRY_E_STREAM_VERSION, -EPROTO, "stream-version", "the stream has a version that is not understood",
      "It is a migration stream, but of a format that this program does not know. All systems of the last decade "
      "write version 3.",
      "send from a system that writes version 3" },
    { FERRY_E_STREAM_BROKEN, -EPROTO, "stream-broken", "the stream is not well formed at this place",
      "Something stands where it cannot stand: a length above its bound, a section without an end, an item of a kind "
      "that does not exist. Bytes were lost or changed on the way, or the two ends differ in what a device's state "
      "looks like, so that one reads past the end of the other.",
      "keep the stream in a file and let 'ferry inspect' say where it stops to make sense" },
    { FERRY_E_STREAM_ENDED, -EPIPE, "stream-ended", "the stream ended before it was complete",
      "The other end closed the connection, or the file is cut short, where more had to come. Mostly the source "
      "failed, was cancelled or was killed, and its own report says why. The guest was not started here.",
      "look at the report and the log of the other end" },
    { FERRY_E_UNKNOWN_SECTION, -ENOENT, "unknown-section", "a part of the stream is for something that is not here",
      "The source sends a section that belongs to nothing that this end has: an iterative device, or the "
      "continuation of a section that never began. Its length is not known either, so nothing that follows could be "
      "understood.",
      "give both ends the same devices" },
    { FERRY_E_UNKNOWN_COMMAND, -ENOTSUP, "unknown-command", "the stream asks for something that cannot be done here",
      "The source uses a command of the protocol, or a kind of record, that this end does not understand. A feature "
      "is switched on there that is not available here.",
      "switch the feature off at the source" },
    { FERRY_E_UNKNOWN_CAPABILITY, -ENOTSUP, "unknown-capability", "the stream uses a capability that is not known here",
      "The source says in the configuration that it uses a capability, and this end does not have it. Going on would "
      "mean to misread what follows.",
      "switch the capability off at the source" },
    { FERRY_E_BAD_PAGE_RECORD, -EPROTO, "bad-page-record", "a page of memory came in a form that cannot be",
      "A record names a block that was not announced, a page beyond the end of its block, or content that does not "
      "decode. Bytes were lost or changed on the way, or the source is broken. Nothing outside the guest's memory "
      "was written.",
      "try again; if it stays, keep the stream in a file and let 'ferry inspect' look at it" },
    { FERRY_E_BAD_RETURN_MESSAGE, -EPROTO, "bad-return-message",
      "the destination answered with something that cannot be",
      "A message on the way back has a type or a length that does not exist, or comes when it may not. The "
      "destination is of an unknown kind, or the bytes were changed on the way.",
      "check that both ends speak the same dialect" },
    { FERRY_E_BAD_HELLO, -EPROTO, "bad-hello", "the two ends could not greet each other",
      "The first message of a connection, by which both ends tell who they are, is not well formed, or an answer "
      "does not fit the question. The other end may speak another protocol.",
      "check that both ends speak the ferry dialect, or use the qemu dialect at both" },
    { FERRY_E_PROTOCOL_VERSION, -EPROTONOSUPPORT, "protocol-version",
      "the two ends have no version of the protocol in common",
      "Each end says which versions it speaks, from the lowest to the highest, and these do not overlap. One of them "
      "is much older than the other.",
      "update the older end" },
    { FERRY_E_FOREIGN_CONNECTION, -EACCES, "foreign-connection", "a connection does not belong to this migration",
      "Somebody connected with another session's identity, a second time in the same role, or in a role that is not "
      "expected. The migration itself is not disturbed by this.",
      "check that no two sources use the same address" },
    { FERRY_E_PEER_FAILED, -EREMOTEIO, "peer-failed", "the other end failed and did not say why",
      "The other end reported that it gave up, in a way that carries no reason: the qemu dialect has only a number for "
      "this. Before the switch the guest goes on at the source.",
      "look at the log of the other end" },

    { FERRY_E_MACHINE_MISMATCH, -EINVAL, "machine-mismatch", "the source is another kind of machine",
      "A guest can only go on in a machine of the same type and version: its devices lie at the same places and have "
      "the same state. The name of the source's machine differs from the one here.",
      "start the destination with the machine type of the source, version included" },
    { FERRY_E_UNKNOWN_BLOCK, -ENOENT, "unknown-block", "the source has a block of memory that is not here",
      "Each block of the guest's memory must exist at both ends under the same name. The destination was configured "
      "without a memory device, a video card or a ROM that the source has.",
      "give the destination the same memory and devices" },
    { FERRY_E_BLOCK_LENGTH, -EINVAL, "block-length", "a block of memory has another length here",
      "The block exists at both ends, but not with the same length. Mostly the guest's memory was configured "
      "differently, or a firmware image has another size.",
      "give the destination the same amount of memory, and the same firmware" },
    { FERRY_E_PAGE_SIZE, -EINVAL, "page-size", "the two ends use pages of different size",
      "Memory travels in pages of 4096 bytes, and blocks of huge pages must be of the same page size at both ends "
      "when pages are to be fetched on demand. One end was started with huge pages and the other without.",
      "back the guest's memory with the same kind of pages at both ends" },
    { FERRY_E_UNKNOWN_DEVICE, -ENOENT, "unknown-device", "the source has a device that is not here",
      "State came for a device, by name and instance, that the destination does not have. It was configured with "
      "other devices, or at other places of its buses.",
      "give the destination the same devices at the same places" },
    { FERRY_E_DEVICE_MISSING, -EPROTO, "device-missing", "no state came for a device that is here",
      "The stream is complete, but this end has a device that the source did not send. Without its state the guest "
      "would find it as after a reset, so it was not started.",
      "remove the device here, or add it at the source" },
    { FERRY_E_DEVICE_VERSION, -EINVAL, "device-version", "a device's state has a version that is not understood here",
      "The format of a device's state has a version, and this end takes only some. Mostly the source is of a newer "
      "release than the destination.",
      "let the source use the profile or machine version of the older release" },
    { FERRY_E_DEVICE_CONFIGURATION, -EINVAL, "device-configuration", "a device is configured differently here",
      "The device exists at both ends, but its model, its fields or what it was configured with differ, so that the "
      "state of one is not a state of the other. Taking it all the same would give the guest a device that changes "
      "under its hands.",
      "configure the device alike at both ends" },
    { FERRY_E_CAPABILITY_MISSING, -ENOTSUP, "capability-missing", "the other end cannot do what was asked for",
      "What both ends can do is agreed before the first page. Something that was required here is not among what the "
      "other end offers.",
      "do not require it, or update the other end" },
    { FERRY_E_REFUSED, -EINVAL, "refused", "the destination refused the migration before it began",
      "The destination compared what the source is with what it is itself, and found that they do not fit. All that "
      "differs is listed; not one page was sent, and the guest goes on at the source.",
      "make both ends alike in what is listed" },

    { FERRY_E_BAD_BLOCK, -EINVAL, "bad-block", "a block of memory cannot be used as it was given",
      "A block needs a name of its own, whole pages, memory of its own that does not overlap another block, and a "
      "page size that is a power of two. The program that embeds the library, or the guest that it describes, does "
      "not keep to this.",
      "correct how the block is registered" },
    { FERRY_E_NO_DIRTY_TRACKING, -ENOTSUP, "no-dirty-tracking", "it cannot be told which pages the guest writes",
      "A migration while the guest runs must learn which pages change. Of the ways to do so none works here: "
      "userfaultfd is missing, not permitted, or cannot watch memory of this kind.",
      "permit userfaultfd (sysctl vm.unprivileged_userfaultfd=1, or CAP_SYS_PTRACE), or use a kernel that has it" },
    { FERRY_E_DIRTY_TRACKING_FAILED, -EIO, "dirty-tracking-failed", "the record of written pages was lost",
      "The kernel or the hypervisor failed to say which pages were written since it was asked before. What the "
      "destination has can no longer be trusted, so the migration was given up. The guest goes on at the source.",
      "try again, or choose another way with the option tracker" },
    { FERRY_E_PAGE_NOT_PLACED, -EIO, "page-not-placed", "a page that arrived could not be put into the guest's memory",
      "The destination's kernel refused to take the page: mostly because memory is short (huge pages or a cgroup "
      "limit included), or because the memory was mapped in another way meanwhile. The guest was not started here.",
      "check how much memory the destination may use" },
    { FERRY_E_MEMORY_LIMIT, -ENOSPC, "memory-limit", "more memory, or more blocks, than is taken",
      "A stream may not ask for more than fixed bounds, so that a broken or hostile one does not use up the host. "
      "The guest is beyond them, or the stream is not what it seems.",
      "look at the stream with 'ferry inspect'" },
    { FERRY_E_MEMORY_INCOMPLETE, -EPROTO, "memory-incomplete", "the stream ended without the end of the memory",
      "Everything else came, but the source never said that all pages had been sent. The guest was not started, for "
      "some of its memory may be old.",
      "look at the report of the source, then try again" },
    { FERRY_E_POSTCOPY_UNSUPPORTED, -ENOTSUP, "postcopy-unsupported",
      "the destination cannot run a guest whose memory is still to come",
      "In postcopy the destination must catch each touch of a page that has not arrived, with userfaultfd, by the "
      "guest and by the kernel. It is not permitted, this kernel lacks it or a part of it, or a block of memory is of "
      "a kind that it cannot watch. Nothing was sent yet; the guest goes on at the source.",
      "run the destination with CAP_SYS_PTRACE or access to /dev/userfaultfd, or migrate without postcopy" },
    { FERRY_E_PAGES_MISSING, -EPROTO, "pages-missing",
      "the source ended before all pages of the running guest had come",
      "The guest runs at the destination, and some pages that it was promised never arrived. Whoever touches one of "
      "them cannot go on. The source, or what lies between, is broken.",
      "keep the source's process, which still has the pages, and look at its report" },

    { FERRY_E_DEVICE_REFUSED, -EINVAL, "device-refused", "a device did not take its state",
      "The state of a device came whole, but a value in it is out of range, or the device found that it cannot go on "
      "from there. The two ends differ in how the device is built or configured, or a backend is missing here. The "
      "guest was not started here.",
      "compare the device's version and configuration at both ends" },
    { FERRY_E_DEVICE_UNMIGRATABLE, -ENOTSUP, "device-unmigratable", "a device of the guest cannot be migrated",
      "The device says of itself that its state cannot be moved: it is bound to this host's hardware, or nobody has "
      "described its state yet. Nothing was sent.",
      "take the device away before the migration" },
    { FERRY_E_DEVICE_NOT_SAVED, -EIO, "device-not-saved", "the state of a device could not be saved",
      "The device at the source failed to give its state: a hook said no, or hardware did not answer. The guest goes "
      "on at the source.",
      "look at the log of the source" },
    { FERRY_E_DEVICE_NOT_READY, -ETIMEDOUT, "device-not-ready", "a device was not ready in time",
      "A device asked to wait, because it still has work under way or data to load, and did not become ready before "
      "its deadline. The guest goes on at the source.",
      "try again when the device is less busy, or give it more time" },
    { FERRY_E_DEVICE_SELF_CHECK, -EBADMSG, "device-self-check", "a device is not sound after its state was loaded",
      "The state was taken, but the check that the device makes of itself afterwards failed. The guest was not "
      "started here, and goes on at the source.",
      "compare the device's version and configuration at both ends" },

    { FERRY_E_CANNOT_CONVERGE, -ETIME, "cannot-converge", "the guest writes faster than the channel carries",
      "As long as pages are written as fast as they are sent, what is left does not shrink, and stopping the guest "
      "for it would take longer than allowed. The report says which rate would do.",
      "raise max-bandwidth or downtime-limit, or slow the guest down" },
    { FERRY_E_CANCELLED, -ECANCELED, "cancelled", "somebody asked to give up",
      "A person or a program cancelled the migration. The guest goes on at the source, and what had arrived at the "
      "destination was thrown away.",
      "nothing is wrong: start it again when it suits" },
    { FERRY_E_OUT_OF_TIME, -ETIMEDOUT, "out-of-time", "something took longer than it may",
      "A deadline passed before the work was done. The limit may be short for this guest and this link, or one of "
      "the two hosts is overloaded.",
      "give it more time, or find what is slow" },
    { FERRY_E_BAD_OPTION, -EINVAL, "bad-option", "an option does not exist, or has a value that cannot be",
      "The name of the option is not known, its value is out of bounds or has no unit, or the option cannot be "
      "changed while a migration runs. Nothing was changed.",
      "'ferry send --help' lists the options with their values" },
    { FERRY_E_BLOCKED, -EPERM, "blocked", "the guest may not be migrated now",
      "Something holds the guest where it is, and says why: a device in a state that cannot be moved, or work that "
      "must "
      "not be interrupted. Nothing was sent.",
      "wait until the reason is gone, or take away what it names" },

    { FERRY_E_GUEST_NOT_STOPPED, -EIO, "guest-not-stopped", "the guest could not be stopped for the switch",
      "To hand over the last pages and the devices the guest must stand still, and the hypervisor failed to stop it. "
      "It goes on at the source.",
      "look at the log of the hypervisor at the source" },
    { FERRY_E_GUEST_NOT_STARTED, -EIO, "guest-not-started", "the guest arrived but could not be started",
      "Everything was received and found right, then the hypervisor failed to start the guest. Whether the source "
      "may go on with it depends on how far the switch had come; the source's report says so.",
      "look at the log of the hypervisor at the destination, and at the source's status" },
    { FERRY_E_UNCERTAIN, -ETIMEDOUT, "uncertain", "it cannot be known from here at which end the guest runs",
      "The source gave the guest away and did not hear that it was started. It may run at the destination, or at "
      "neither end, but it does not run here and will not by itself.",
      "ask the destination: if the guest does not run there, and never will, it may be started here again" },
    { FERRY_E_UNDECIDED, -ECONNRESET, "undecided", "everything arrived, but not the word to start",
      "The destination was ready and lost the source before it was told to start the guest. The source may run it "
      "still, so it must not be started here.",
      "ask the source: if it gave the guest away, it may be started here" },
    { FERRY_E_BAD_TOKEN, -EPROTO, "bad-token", "the word to start was not meant for this migration",
      "Each switch has a secret that is used once. One came that is not the one that was agreed, or came twice. The "
      "guest was not started because of it.",
      "check that no two sources use this destination at once" },
    { FERRY_E_NOT_READY, -ETIMEDOUT, "not-ready", "the destination did not become ready in time",
      "All was sent, and the destination did not say that it has everything and could start the guest. It is slow to "
      "load a device's state, hangs, or is gone. The guest goes on at the source.",
      "look at the log of the destination, or give it more time" },
    { FERRY_E_JOURNAL, -EIO, "journal", "the journal of the switch could not be written or read",
      "What was asked to be noted on disk before the guest changes hands could not be noted, so it did not change "
      "hands. The disk may be full or read-only, or the journal is of another migration.",
      "check the journal's path and its disk" },
    { FERRY_E_VERIFICATION, -EBADMSG, "verification", "the guest arrived, but not as it left",
      "Every page of the test guest says what it should hold, and some do not. Writes were lost, or bytes were "
      "changed on the way or in memory. This is a bug, or broken hardware.",
      "keep both reports and report it; run again over a channel with checksums" },
    { FERRY_E_POSTCOPY_INTERRUPTED, -ENOTRECOVERABLE, "postcopy-interrupted",
      "the connection broke while some memory had still to follow its guest",
      "The guest is at the destination; what it had not yet fetched is at the source. Who touches a missing page at "
      "the "
      "destination stops there until the two come together again, and the source must not start its old guest.",
      "keep both processes, and let them go on: option postcopy-retry, or QMP's migrate-recover and migrate with "
      "resume" },
    { FERRY_E_POSTCOPY_ORDER, -EPROTO, "postcopy-order", "a command of postcopy came where it has no place",
      "Postcopy goes advise, discard, listen, running, end, in this order. The source, or what lies between, is broken "
      "or hostile.",
      "see which program, in which version, is at the source" },

    { FERRY_E_OUT_OF_MEMORY, -ENOMEM, "out-of-memory", "the process could not get memory",
      "The host, its cgroup or a limit of the process does not give more memory. Ferry itself needs little; mostly "
      "it is the guest's own memory that does not fit.",
      "free memory, or raise the limit of the process or its cgroup" },
    { FERRY_E_NOT_PERMITTED, -EPERM, "not-permitted", "the process is not allowed to do this",
      "A file, a socket, a device or a system call is closed to this user, by permissions, by a capability that is "
      "missing, or by a sandbox. The same command may work for another user, and outside of a container.",
      "check permissions, capabilities and sandbox of the process" },
    { FERRY_E_OUT_OF_DESCRIPTORS, -EMFILE, "out-of-descriptors", "too many files are open",
      "The process, or the whole host, has as many open files and sockets as it may. New connections and files "
      "cannot be had until others are closed.",
      "raise the limit (ulimit -n)" },
    { FERRY_E_NO_SPACE, -ENOSPC, "no-space", "there is no room left",
      "A disk, a quota or a table of fixed size is full. What was written so far is incomplete.",
      "make room, or write elsewhere" },
    { FERRY_E_NOT_SUPPORTED, -ENOTSUP, "not-supported", "this cannot be done here",
      "The kernel, the kind of channel or memory, or this build of the program lacks what is needed. It may work on "
      "another host, or in another way on this one.",
      "the sentence says what is missing; choose another way, or a newer kernel" },
    { FERRY_E_NOT_FOUND, -ENOENT, "not-found", "something that was named does not exist",
      "A file, a folder, a device node or a thing of the guest was looked for by name and is not there. It may have "
      "another name, or may not have been made yet.",
      "check the name" },
    { FERRY_E_INPUT_OUTPUT, -EIO, "input-output", "reading or writing failed",
      "A device, a file or a connection failed in a way that the system does not explain further. The kernel may "
      "have said more about it in its log.",
      "look at the kernel's log" },

    { FERRY_E_INTERNAL, -EIO, "internal", "something failed in a way that was not foreseen",
      "No more is known than what the message says. It may be a bug of Ferry, or of the program that it is part of.",
      "run again with --verbose, and report it with both logs" },
    { FERRY_E_INVALID_ARGUMENT, -EINVAL, "invalid-argument", "a value cannot be taken",
      "Something that was given, on the command line, by the program that embeds the library or by the other end, is "
      "out of range or does not fit the rest. Nothing was done with it.",
      "the sentence says which value, and what is possible" },
    { FERRY_E_SHUT_DOWN, -ESHUTDOWN, "shut-down", "the channel was closed from this side",
      "Another thread of this process shut the channel down, as cancelling a migration does, while something was "
      "still being read or written. It is seldom the cause; it follows from what ended the migration.",
      "look for what ended the migration first" },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const char *const groups[] = {
    NULL,
    "connecting",
    "the protocol",
    "the two ends disagree",
    "memory",
    "devices",
    "convergence, cancelling, limits",
    "the switch",
    "guest and host",
    "within",
};

static const struct {
    int errnum;
    enum ferry_code code;
} errnums[] = {
    { ECONNREFUSED, FERRY_E_CONNECTION_REFUSED },
    { ECONNRESET, FERRY_E_CONNECTION_LOST },
    { ECONNABORTED, FERRY_E_CONNECTION_LOST },
    { EPIPE, FERRY_E_CONNECTION_LOST },
    { ENOTCONN, FERRY_E_CONNECTION_LOST },
    { EHOSTUNREACH, FERRY_E_UNREACHABLE },
    { ENETUNREACH, FERRY_E_UNREACHABLE },
    { EHOSTDOWN, FERRY_E_UNREACHABLE },
    { ENETDOWN, FERRY_E_UNREACHABLE },
    { EADDRNOTAVAIL, FERRY_E_NAME_UNKNOWN },
    { EADDRINUSE, FERRY_E_ADDRESS_IN_USE },
    { EPROTO, FERRY_E_STREAM_BROKEN },
    { EREMOTEIO, FERRY_E_PEER_FAILED },
    { EOWNERDEAD, FERRY_E_UNCERTAIN },
    { EPROTONOSUPPORT, FERRY_E_PROTOCOL_VERSION },
    { EBADMSG, FERRY_E_STREAM_BROKEN },
    { ECANCELED, FERRY_E_CANCELLED },
    { ETIMEDOUT, FERRY_E_OUT_OF_TIME },
    { ETIME, FERRY_E_OUT_OF_TIME },
    { ENOMEM, FERRY_E_OUT_OF_MEMORY },
    { EPERM, FERRY_E_NOT_PERMITTED },
    { EACCES, FERRY_E_NOT_PERMITTED },
    { EROFS, FERRY_E_NOT_PERMITTED },
    { EMFILE, FERRY_E_OUT_OF_DESCRIPTORS },
    { ENFILE, FERRY_E_OUT_OF_DESCRIPTORS },
    { ENOSPC, FERRY_E_NO_SPACE },
    { EDQUOT, FERRY_E_NO_SPACE },
    { EFBIG, FERRY_E_NO_SPACE },
    { ENOTSUP, FERRY_E_NOT_SUPPORTED },
    { ENOSYS, FERRY_E_NOT_SUPPORTED },
    { EAFNOSUPPORT, FERRY_E_NOT_SUPPORTED },
    { EPROTOTYPE, FERRY_E_NOT_SUPPORTED },
    { ENOENT, FERRY_E_NOT_FOUND },
    { ENOTDIR, FERRY_E_NOT_FOUND },
    { ENODEV, FERRY_E_NOT_FOUND },
    { ENXIO, FERRY_E_NOT_FOUND },
    { EIO, FERRY_E_INPUT_OUTPUT },
    { EINVAL, FERRY_E_INVALID_ARGUMENT },
    { ERANGE, FERRY_E_INVALID_ARGUMENT },
    { EEXIST, FERRY_E_INVALID_ARGUMENT },
    { EBADF, FERRY_E_INVALID_ARGUMENT },
    { ENAMETOOLONG, FERRY_E_INVALID_ARGUMENT },
    { EISDIR, FERRY_E_INVALID_ARGUMENT },
    { ESHUTDOWN, FERRY_E_SHUT_DOWN },
};

const struct ferry_code_info *ferry_code_at(unsigned index)
{
    return index < ROWS ? &rows[index] : NULL;
}

const struct ferry_code_info *ferry_code_info(enum ferry_code code)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].code == code)
            return &rows[i];
    return NULL;
}

const struct ferry_code_info *ferry_code_find(const char *text)
{
    bool is_number = text[0] != '\0' && text[strspn(text, "0123456789")] == '\0' && strlen(text) < 6;

    for (size_t i = 0; i < ROWS; i++)
        if (is_number ? (unsigned long)rows[i].code == strtoul(text, NULL, 10) : !strcmp(text, rows[i].name))
            return &rows[i];
    return NULL;
}

const char *ferry_code_name(enum ferry_code code)
{
    const struct ferry_code_info *info = ferry_code_info(code);

    if (code == FERRY_E_NONE)
        return "none";
    return info ? info->name : "unknown";
}

const char *ferry_code_group(enum ferry_code code)
{
    unsigned group = (unsigned)code / 100;

    return group > 0 && group < sizeof(groups) / sizeof(groups[0]) ? groups[group] : "unknown";
}

enum ferry_code ferry_code_of_errnum(int errnum)
{
    for (size_t i = 0; i < sizeof(errnums) / sizeof(errnums[0]); i++)
        if (errnums[i].errnum == -errnum)
            return errnums[i].code;
    return errnum == 0 ? FERRY_E_NONE : FERRY_E_INTERNAL;
}
