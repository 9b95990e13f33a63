/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_vm.c - a virtual machine of /dev/kvm: its memory, its clock, and what its vCPUs can do */
#include "kvm_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xxhash.h>

#define CPUID_MAX    256
#define MSR_LIST_MAX 1024

/* What a guest of this kind may come to depend on; the time stamp counter travels apart. */
static const uint32_t wanted_msrs[] = {
    0x48,       /* SPEC_CTRL */
    0x174,      /* SYSENTER_CS */
    0x175,      /* SYSENTER_ESP */
    0x176,      /* SYSENTER_EIP */
    0x1a0,      /* MISC_ENABLE */
    0x277,      /* PAT */
    0xda0,      /* XSS */
    0xc0000081, /* STAR */
    0xc0000082, /* LSTAR */
    0xc0000083, /* CSTAR */
    0xc0000084, /* SYSCALL_MASK */
    0xc0000102, /* KERNEL_GS_BASE */
    0xc0000103, /* TSC_AUX */
};

_Static_assert(sizeof(wanted_msrs) / sizeof(wanted_msrs[0]) <= KVM_MSRS_MAX, "all that are wanted fit");

int kvm_vm_ioctl(int fd, unsigned long request, void *arg)
{
    int rc;

    do
        rc = ioctl(fd, request, arg);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : rc;
}

static int open_kvm(struct kvm_vm *vm, struct ferry_error *err)
{
    int version;

    vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (vm->kvm_fd < 0) {
        int errnum = errno;

        ferry_error_set(err, -errnum, "a kvm guest needs /dev/kvm: %s", strerror(errnum));
        ferry_error_hint(err, "the pattern guest needs none: --guest pattern:size=1GiB,dirty=100MiB/s");
        return -errnum;
    }
    version = kvm_vm_ioctl(vm->kvm_fd, KVM_GET_API_VERSION, NULL);
    if (version != KVM_API_VERSION)
        return ferry_error_set(err, -ENOTSUP, "/dev/kvm is not KVM of version %d", KVM_API_VERSION);
    if (kvm_vm_ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_IMMEDIATE_EXIT) <= 0)
        return ferry_error_set(err, -ENOTSUP, "this KVM cannot be interrupted reliably (Linux 4.11)");
    return 0;
}

/* These say on which processor they were asked, or what is enabled just now. */
static void mask_cpuid(struct kvm_cpuid_entry2 *entry)
{
    if (entry->function == 0x1)
        entry->ebx &= 0x00ffffff;
    if (entry->function == 0xb || entry->function == 0x1f)
        entry->edx = 0;
    if (entry->function == 0xd)
        entry->ebx = 0;
}

static uint64_t digest_cpuid(const struct kvm_cpuid2 *cpuid)
{
    uint64_t digest = 0;

    for (uint32_t i = 0; i < cpuid->nent; i++) {
        struct kvm_cpuid_entry2 entry = cpuid->entries[i];

        mask_cpuid(&entry);
        digest = XXH3_64bits_withSeed(&entry, sizeof(entry), digest);
    }
    return digest;
}

static int get_cpuid(struct kvm_vm *vm, struct ferry_error *err)
{
    int rc;

    vm->cpuid = calloc(1, sizeof(*vm->cpuid) + CPUID_MAX * sizeof(vm->cpuid->entries[0]));
    if (!vm->cpuid)
        return ferry_error_set(err, -ENOMEM, "no memory for what the vCPUs can do");
    vm->cpuid->nent = CPUID_MAX;
    rc = kvm_vm_ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, vm->cpuid);
    if (rc < 0)
        return ferry_error_set(err, rc, "KVM does not say what its vCPUs can do: %s", strerror(-rc));
    vm->cpuid_digest = digest_cpuid(vm->cpuid);
    return 0;
}

/* Those of ours that this KVM has; where it does not say, none. */
static int choose_msrs(struct kvm_vm *vm, struct ferry_error *err)
{
    struct kvm_msr_list *list = calloc(1, sizeof(*list) + MSR_LIST_MAX * sizeof(list->indices[0]));

    if (!list)
        return ferry_error_set(err, -ENOMEM, "no memory for the vCPUs' registers");
    list->nmsrs = MSR_LIST_MAX;
    if (kvm_vm_ioctl(vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, list) < 0)
        list->nmsrs = 0;
    for (size_t w = 0; w < sizeof(wanted_msrs) / sizeof(wanted_msrs[0]); w++)
        for (uint32_t i = 0; i < list->nmsrs; i++)
            if (list->indices[i] == wanted_msrs[w] && vm->msr_count < KVM_MSRS_MAX)
                vm->msr[vm->msr_count++] = wanted_msrs[w];
    free(list);
    return 0;
}

void kvm_vm_init(struct kvm_vm *vm)
{
    *vm = (struct kvm_vm){ .kvm_fd = -1, .fd = -1 };
}

int kvm_vm_open(struct kvm_vm *vm, struct ferry_error *err)
{
    int rc = open_kvm(vm, err);

    if (rc < 0)
        return rc;
    vm->fd = kvm_vm_ioctl(vm->kvm_fd, KVM_CREATE_VM, NULL);
    if (vm->fd < 0)
        return ferry_error_set(err, vm->fd, "KVM makes no virtual machine: %s", strerror(-vm->fd));
    rc = kvm_vm_ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
    if (rc < (int)sizeof(struct kvm_run))
        return ferry_error_set(err, rc < 0 ? rc : -ENOTSUP, "KVM shares %d bytes for a vCPU", rc);
    vm->run_bytes = (size_t)rc;
    rc = get_cpuid(vm, err);
    return rc < 0 ? rc : choose_msrs(vm, err);
}

void kvm_vm_close(struct kvm_vm *vm)
{
    if (vm->fd >= 0)
        close(vm->fd);
    if (vm->kvm_fd >= 0)
        close(vm->kvm_fd);
    free(vm->cpuid);
    kvm_vm_init(vm);
}

int kvm_vm_set_memory(struct kvm_vm *vm, const struct mapping *ram, struct ferry_error *err)
{
    struct kvm_userspace_memory_region region = {
        .memory_size = ram->bytes,
        .userspace_addr = (uintptr_t)ram->host,
    };
    int rc = kvm_vm_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);

    if (rc < 0)
        return ferry_error_set(err, rc, "KVM refuses the guest's memory: %s", strerror(-rc));
    vm->slot = (struct ferry_kvm_slot){ .length = ram->bytes, .host = ram->host };
    return 0;
}

uint64_t kvm_vm_get_clock(const struct kvm_vm *vm)
{
    struct kvm_clock_data clock = { 0 };

    return kvm_vm_ioctl(vm->fd, KVM_GET_CLOCK, &clock) < 0 ? 0 : clock.clock;
}

void kvm_vm_set_clock(const struct kvm_vm *vm, uint64_t ns)
{
    struct kvm_clock_data clock = { .clock = ns };

    kvm_vm_ioctl(vm->fd, KVM_SET_CLOCK, &clock);
}
