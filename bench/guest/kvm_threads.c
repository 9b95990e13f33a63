/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_threads.c - a thread for each vCPU: runs it, answers what it asks, and makes it stand still at once
 *
 * The kick: immediate_exit is set, then the signal is sent.  A vCPU inside KVM_RUN is thrown out by the signal, one
 * about to enter sees immediate_exit; the signal's handler does nothing, and no system call is restarted after it.  The
 * signal is blocked everywhere but in these threads.
 */
#include "kvm_threads.h"

#include "clock.h"
#include "kvm_program.h"
#include "pace.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define BEAT_NS       NS_PER_MS /* vCPU 0 */
#define OTHER_BEAT_NS (10 * NS_PER_MS)
#define KICK          SIGRTMIN
#define LOOK_NS       (50 * NS_PER_MS) /* a vCPU that never asks is interrupted so often, */
#define SLICE_NS      (5 * NS_PER_MS)  /* or, while it is throttled, so often */

struct vcpu {
    pthread_t thread;
    struct kvm_threads *threads; /* borrowed */
    struct kvm_cpu *cpu;         /* borrowed */
    unsigned index;
    struct pace pace;
    int64_t beat_ns;   /* when the last question was answered */
    int64_t worked_ns; /* when its last rest was over */
    timer_t timer;     /* interrupts one that never asks, so that it hears of being throttled */
    bool timed;
    bool asked; /* KVM waits to be entered again to finish an instruction */
    bool ended; /* does not run any more */
};

struct kvm_threads {
    struct kvm_machine machine;
    struct gate gate;
    uint64_t bytes_per_sec; /* of each vCPU; 0: never writes */
    uint64_t burst_ns;      /* 0: all the time */
    uint64_t pause_ns;
    atomic_uint throttle; /* percent of their time that vCPUs do not run */
    pthread_mutex_t lock; /* guards failure */
    struct ferry_error failure;
    unsigned running;
    struct vcpu vcpu[];
};

static void on_kick(int number)
{
}

static void set_immediate_exit(struct kvm_cpu *cpu, bool on)
{
    __atomic_store_n(&cpu->run->immediate_exit, on, __ATOMIC_RELAXED);
}

/* ---- what a vCPU asks -------------------------------------------------------------------------------------------- */

static void end(struct vcpu *vcpu, const char *why, uint64_t detail)
{
    struct kvm_threads *threads = vcpu->threads;

    pthread_mutex_lock(&threads->lock);
    if (!threads->failure.errnum)
        ferry_error_set(&threads->failure, -EIO, "vCPU %u of the guest %s (%" PRIu64 ")", vcpu->index, why, detail);
    pthread_mutex_unlock(&threads->lock);
    vcpu->ended = true;
}

/* When the vCPU goes on though no page may be due. */
static int64_t next_beat(const struct vcpu *vcpu, int64_t now)
{
    int64_t beat = vcpu->beat_ns + (vcpu->index ? OTHER_BEAT_NS : BEAT_NS);
    int64_t due = pace_next_ns(&vcpu->pace, now);

    if (beat < now) /* held up: missed beats are not made up for */
        beat = now;
    return due < beat && vcpu->index ? due : beat;
}

static uint32_t pages_due(struct vcpu *vcpu)
{
    struct kvm_threads *threads = vcpu->threads;
    int64_t now = clock_now_ns();
    uint64_t pages;

    if (vcpu->pace.bytes_per_sec == PACE_UNLIMITED)
        return UINT32_MAX;
    gate_sleep_until(&threads->gate, next_beat(vcpu, now));
    vcpu->beat_ns = clock_now_ns();
    if (!gate_is_open(&threads->gate))
        return 0;
    vcpu->pace.bytes_per_sec = threads->bytes_per_sec * (100 - atomic_load(&threads->throttle)) / 100;
    pages = pace_due(&vcpu->pace, vcpu->beat_ns);
    return pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
}

/* The vCPU itself found a page that is not as it left it, and is about to write it. */
static void look_at_bad(struct vcpu *vcpu)
{
    const struct kvm_machine *machine = &vcpu->threads->machine;
    enum content_state state = CONTENT_DAMAGED;
    struct kvm_regs regs;
    char what[192] = "was found bad by the guest itself, somewhere";
    uint64_t page;

    if (kvm_vm_ioctl(vcpu->cpu->fd, KVM_GET_REGS, &regs) < 0) {
        end(vcpu, "cannot be looked at", 0);
        return;
    }
    page = regs.r12 / FERRY_PAGE_BYTES;
    if (page < machine->plan->pages) {
        const uint8_t *at = machine->ram + page * FERRY_PAGE_BYTES;

        state = kvm_content_check(&machine->plan->content, at, page, regs.r10 - 1);
        kvm_content_describe(&machine->plan->content, at, page, regs.r10 - 1, what, sizeof(what));
    }
    findings_note(machine->findings, state == CONTENT_STALE ? CONTENT_STALE : CONTENT_DAMAGED, KVM_RAM_NAME, page,
                  what);
}

static void answer(struct vcpu *vcpu)
{
    struct kvm_run *run = vcpu->cpu->run;
    uint32_t pages = 0;

    vcpu->asked = true;
    if (run->io.direction == KVM_EXIT_IO_IN && run->io.port == KVM_PORT_PACE && run->io.size == sizeof(pages)) {
        pages = pages_due(vcpu);
        memcpy((char *)run + run->io.data_offset, &pages, sizeof(pages));
    } else if (run->io.direction == KVM_EXIT_IO_OUT && run->io.port == KVM_PORT_BAD) {
        look_at_bad(vcpu);
    } else {
        end(vcpu, "uses a port that is not there", run->io.port);
    }
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* Into the guest and, unless it was only kicked, what it came out for. */
static void enter(struct vcpu *vcpu)
{
    struct kvm_run *run = vcpu->cpu->run;
    int rc = ioctl(vcpu->cpu->fd, KVM_RUN, NULL);

    vcpu->asked = false;
    if (rc < 0) {
        if (errno != EINTR && errno != EAGAIN)
            end(vcpu, "cannot run", (uint64_t)errno);
        return;
    }
    switch (run->exit_reason) {
    case KVM_EXIT_IO:
        answer(vcpu);
        break;
    case KVM_EXIT_INTR:
        break;
#ifdef KVM_EXIT_DIRTY_RING_FULL
    case KVM_EXIT_DIRTY_RING_FULL:
        if (!vcpu->threads->machine.ring || ferry_kvm_ring_full(vcpu->threads->machine.ring, NULL) < 0)
            end(vcpu, "has a dirty ring that cannot be emptied", 0);
        break;
#endif
    default:
        end(vcpu, "stopped with KVM's exit reason", run->exit_reason);
    }
}

static void interrupt_every(struct vcpu *vcpu, int64_t ns)
{
    const struct itimerspec every = { .it_interval.tv_nsec = ns, .it_value.tv_nsec = ns };

    if (vcpu->timed)
        timer_settime(vcpu->timer, 0, &every, NULL);
}

/* A vCPU that never asks, on its own thread. */
static void make_timer(struct vcpu *vcpu)
{
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KICK };

    if (vcpu->threads->bytes_per_sec != PACE_UNLIMITED)
        return;
    event._sigev_un._tid = gettid();
    vcpu->timed = timer_create(CLOCK_MONOTONIC, &event, &vcpu->timer) == 0;
    interrupt_every(vcpu, LOOK_NS);
}

/* It was interrupted: throttled, it sleeps for as long as its work since the last time makes due. */
static void rest(struct vcpu *vcpu)
{
    struct kvm_threads *threads = vcpu->threads;
    unsigned percent = atomic_load(&threads->throttle);
    int64_t now = clock_now_ns(), worked = now - vcpu->worked_ns;

    if (!vcpu->timed || (percent == 0 && worked < LOOK_NS) || worked < SLICE_NS)
        return;
    if (percent > 0 && worked > 2 * SLICE_NS) { /* it has just begun */
        interrupt_every(vcpu, SLICE_NS);
        worked = SLICE_NS;
    } else if (percent == 0) {
        interrupt_every(vcpu, LOOK_NS);
    }
    if (percent > 0)
        gate_sleep_until(&threads->gate, now + worked * percent / (100 - percent));
    vcpu->worked_ns = clock_now_ns();
}

/* The gate is closed: let KVM finish what it is at. */
static void settle(struct vcpu *vcpu)
{
    if (vcpu->asked && !vcpu->ended && vcpu->pace.bytes_per_sec != PACE_UNLIMITED) {
        set_immediate_exit(vcpu->cpu, false);
        enter(vcpu); /* the last beat */
    }
    set_immediate_exit(vcpu->cpu, true);
    while (vcpu->asked && !vcpu->ended)
        enter(vcpu);
}

static void *vcpu_main(void *opaque)
{
    struct vcpu *vcpu = opaque;
    struct gate *gate = &vcpu->threads->gate;
    sigset_t kick;

    sigemptyset(&kick);
    sigaddset(&kick, KICK);
    pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
    /* Without it the kernel adds 50 us to every sleep. */
    prctl(PR_SET_TIMERSLACK, 1UL);
    make_timer(vcpu);
    while (gate_enter(gate)) {
        vcpu->beat_ns = clock_now_ns();
        pace_start(&vcpu->pace, vcpu->threads->bytes_per_sec, vcpu->beat_ns);
        pace_in_bursts(&vcpu->pace, vcpu->threads->burst_ns, vcpu->threads->pause_ns);
        vcpu->worked_ns = vcpu->beat_ns;
        while (gate_is_open(gate) && !vcpu->ended) {
            enter(vcpu);
            rest(vcpu);
        }
        if (vcpu->ended)
            while (gate_is_open(gate))
                gate_sleep_until(gate, INT64_MAX);
        settle(vcpu);
        gate_leave(gate);
    }
    if (vcpu->timed)
        timer_delete(vcpu->timer);
    return NULL;
}

/* ---- for the guest ----------------------------------------------------------------------------------------------- */

/* Threads are born with the kick blocked, so that none is missed or hits before there is a handler. */
static int start_threads(struct kvm_threads *threads, struct ferry_error *err)
{
    sigset_t kick, before;
    int rc = 0;

    sigemptyset(&kick);
    sigaddset(&kick, KICK);
    pthread_sigmask(SIG_BLOCK, &kick, &before);
    for (unsigned i = 0; rc == 0 && i < threads->machine.plan->cpus; i++) {
        struct vcpu *vcpu = &threads->vcpu[i];

        vcpu->threads = threads;
        vcpu->cpu = &threads->machine.cpu[i];
        vcpu->index = i;
        rc = -pthread_create(&vcpu->thread, NULL, vcpu_main, vcpu);
        if (rc < 0)
            ferry_error_set(err, rc, "cannot start the thread of vCPU %u: %s", i, strerror(-rc));
        else
            threads->running++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

struct kvm_threads *kvm_threads_new(const struct kvm_machine *machine, struct ferry_error *err)
{
    const struct sigaction ignore = { .sa_handler = on_kick };
    const struct guest_spec *spec = machine->spec;
    unsigned count = machine->plan->cpus;
    struct kvm_threads *threads = calloc(1, sizeof(*threads) + count * sizeof(threads->vcpu[0]));

    if (!threads || gate_init(&threads->gate) < 0) {
        free(threads);
        ferry_error_set(err, -ENOMEM, "out of memory for the guest's vCPUs");
        return NULL;
    }
    pthread_mutex_init(&threads->lock, NULL);
    threads->machine = *machine;
    threads->bytes_per_sec = machine->plan->share[0].written ? spec->dirty_bytes_per_sec : 0;
    threads->burst_ns = spec->pattern == SPEC_BURSTS ? spec->burst_ns : 0;
    threads->pause_ns = spec->pause_ns;
    if (threads->bytes_per_sec != PACE_UNLIMITED)
        threads->bytes_per_sec = (threads->bytes_per_sec + count - 1) / count;
    if (sigaction(KICK, &ignore, NULL) < 0)
        ferry_error_set(err, -errno, "no signal to interrupt vCPUs with: %s", strerror(errno));
    else if (start_threads(threads, err) == 0)
        return threads;
    kvm_threads_free(threads);
    return NULL;
}

void kvm_threads_free(struct kvm_threads *threads)
{
    if (!threads)
        return;
    kvm_threads_stop(threads);
    gate_quit(&threads->gate);
    while (threads->running > 0)
        pthread_join(threads->vcpu[--threads->running].thread, NULL);
    gate_destroy(&threads->gate);
    pthread_mutex_destroy(&threads->lock);
    free(threads);
}

void kvm_threads_start(struct kvm_threads *threads)
{
    for (unsigned i = 0; i < threads->running; i++)
        set_immediate_exit(threads->vcpu[i].cpu, false);
    gate_open(&threads->gate);
}

void kvm_threads_stop(struct kvm_threads *threads)
{
    for (unsigned i = 0; i < threads->running; i++) {
        set_immediate_exit(threads->vcpu[i].cpu, true);
        pthread_kill(threads->vcpu[i].thread, KICK);
    }
    gate_close(&threads->gate);
}

void kvm_threads_throttle(struct kvm_threads *threads, unsigned percent)
{
    atomic_store(&threads->throttle, percent);
}

int kvm_threads_failed(struct kvm_threads *threads, struct ferry_error *err)
{
    int rc;

    pthread_mutex_lock(&threads->lock);
    rc = threads->failure.errnum;
    if (rc < 0 && err)
        *err = threads->failure;
    pthread_mutex_unlock(&threads->lock);
    return rc;
}
