/* SPDX-License-Identifier: BSD-3-Clause */
/* service.c - what a service manager is told, and the socket that it hands over */
#include "service.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#ifdef HAVE_LIBSYSTEMD

#include <systemd/sd-daemon.h>

void service_ready(void)
{
    sd_notify(0, "READY=1");
}

void service_status(const char *format, ...)
{
    char text[512] = "STATUS=";
    va_list args;

    va_start(args, format);
    vsnprintf(text + 7, sizeof(text) - 7, format, args);
    va_end(args);
    sd_notify(0, text);
}

void service_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

const char *service_uri(struct ferry_error *err)
{
    int count = sd_listen_fds(0);

    if (count <= 0)
        return "";
    if (count == 1)
        return "fd:3"; /* SD_LISTEN_FDS_START */
    ferry_error_set(err, -EINVAL, "the service manager hands over %d sockets, and one is all that can be used", count);
    return NULL;
}

#else

void service_ready(void)
{
}

void service_status(const char *format, ...)
{
}

void service_stopping(void)
{
}

const char *service_uri(struct ferry_error *err)
{
    return "";
}

#endif
