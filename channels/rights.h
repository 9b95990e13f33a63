/* SPDX-License-Identifier: BSD-3-Clause */
/* rights.h - descriptors passed over unix sockets (SCM_RIGHTS)
 *
 * Both return -EAGAIN when the socket is not ready.
 */
#ifndef CHANNELS_RIGHTS_H
#define CHANNELS_RIGHTS_H

/* Send one byte with @passed, borrowed, attached.  Returns 0 or a negative errno. */
int rights_send(int fd, int passed);

/* Receive one byte and the descriptor with it, close-on-exec.  -ENODATA: the stream ended; -EPROTO: not exactly one
 * descriptor came with the byte (what came is closed). */
int rights_receive(int fd);

#endif
