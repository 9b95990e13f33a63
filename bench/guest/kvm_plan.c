/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_plan.c - how the KVM guest's memory is laid out, and which generation every page has after so many lines */
#include "kvm_plan.h"

#include "kvm_program.h"
#include "units.h"

#include <errno.h>
#include <ferry/memory.h>
#include <inttypes.h>
#include <string.h>

#define TABLE_ENTRIES 512
#define GIB_SHIFT     30
#define HUGE_SHIFT    21

/* Present, writable, for CPL 3, accessed; dirty, of 2 MiB.  Set from the beginning, so that no CPU ever writes them. */
#define ENTRY_TABLE 0x27
#define ENTRY_HUGE  0xe7

#define TSS_BYTES     104
#define TSS_MAP_BASE  102 /* where it says, in two bytes, at which offset the map of ports lies */
#define TSS_MAP_BYTES (KVM_PORT_ENDS / 8)

#define STRIDE_PER_MILLE 618 /* neighbouring steps lie far apart */

uint64_t kvm_plan_address(uint64_t page)
{
    return page << FERRY_PAGE_SHIFT;
}

uint64_t kvm_plan_tables(const struct kvm_plan *plan)
{
    return kvm_plan_address(0);
}

/* ---- who writes what, in which order ----------------------------------------------------------------------------- */

static uint64_t divide_up(uint64_t value, uint64_t by)
{
    return (value + by - 1) / by;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* The x with value * x mod modulus = 1; the two have no common divisor, and both are less than 2^32. */
static uint64_t inverse_of(uint64_t value, uint64_t modulus)
{
    int64_t r0 = (int64_t)modulus, r1 = (int64_t)(value % modulus), t0 = 0, t1 = 1;

    while (r1 > 0) {
        int64_t quotient = r0 / r1, r2 = r0 - quotient * r1, t2 = t0 - quotient * t1;

        r0 = r1;
        r1 = r2;
        t0 = t1;
        t1 = t2;
    }
    return modulus == 1 ? 0 : (uint64_t)(t0 < 0 ? t0 + (int64_t)modulus : t0);
}

static uint64_t choose_stride(uint64_t pages, bool sequential)
{
    uint64_t stride = sequential ? 1 : pages * STRIDE_PER_MILLE / 1000;

    if (stride == 0)
        stride = 1;
    while (common_divisor(stride, pages) != 1)
        stride++;
    return stride;
}

static void make_share(struct kvm_share *share, const struct guest_spec *spec, uint64_t first, uint64_t pages)
{
    *share = (struct kvm_share){ .first = first, .pages = pages };
    if (spec->zero_percent == 100)
        return;
    share->spread = divide_up(UINT64_C(100) << 16, 100 - spec->zero_percent);
    share->data = divide_up(pages << 16, share->spread);
    share->written = share->data;
    if (spec->pattern == SPEC_HOT)
        share->written = divide_up(share->data * spec->hot_percent, 100);
    share->stride = choose_stride(share->written, spec->pattern == SPEC_SEQUENTIAL);
    share->inverse = inverse_of(share->stride, share->written);
}

static int check_spec(const struct guest_spec *spec, struct ferry_error *err)
{
    if (spec->content != SPEC_RANDOM)
        return ferry_error_set(err, -EINVAL,
                               "content: the pages of a kvm guest are random; text and mixed are for the "
                               "pattern guest");
    if (spec->reads_bytes_per_sec > 0)
        return ferry_error_set(err, -EINVAL, "reads: a kvm guest only writes; the pattern guest can");
    if (spec->hot_share_percent < 100)
        return ferry_error_set(err, -EINVAL, "hot-share: a kvm guest writes nowhere else; the pattern guest can");
    if (spec->pattern == SPEC_TRACE)
        return ferry_error_set(err, -EINVAL, "trace: a kvm guest writes in an order of its own; the pattern guest can");
    if (spec->pattern == SPEC_BURSTS && spec->dirty_bytes_per_sec == SPEC_UNLIMITED)
        return ferry_error_set(err, -EINVAL, "dirty: the vCPUs of a kvm guest that writes in bursts need a rate");
    if (spec->vfio_bytes > 0)
        return ferry_error_set(err, -EINVAL, "vfio: a kvm guest has no such device; the pattern guest has");
    if (spec->beats > 0)
        return ferry_error_set(err, -EINVAL,
                               "beats: a kvm guest beats once a millisecond; the pattern guest as often as it is told");
    if (spec->untouched_bytes > 0)
        return ferry_error_set(err, -EINVAL,
                               "untouched: a kvm guest has one block of memory; the pattern guest has "
                               "two");
    return 0;
}

int kvm_plan_make(struct kvm_plan *plan, const struct guest_spec *spec, struct ferry_error *err)
{
    uint64_t gibs = divide_up(spec->size_bytes, UINT64_C(1) << GIB_SHIFT), each;
    char least[32];
    int ret = check_spec(spec, err);

    if (ret < 0)
        return ret;
    *plan = (struct kvm_plan){
        .pages = spec->size_bytes / FERRY_PAGE_BYTES,
        .directories = gibs,
        .pointers = divide_up(gibs, TABLE_ENTRIES),
        .cpus = spec->threads,
    };
    kvm_content_init(&plan->content, spec->seed);
    plan->program = 1 + plan->pointers + plan->directories;
    plan->tss = plan->program + 1;
    plan->cpu = plan->tss + 1;
    plan->data = plan->cpu + plan->cpus;
    if (plan->pages < plan->data + plan->cpus)
        return ferry_error_set(err, -EINVAL, "size: a kvm guest with %" PRIu32 " vCPUs needs at least %s",
                               spec->threads,
                               units_format_size(least, sizeof(least), (plan->data + plan->cpus) * FERRY_PAGE_BYTES));
    each = (plan->pages - plan->data) / plan->cpus;
    for (unsigned i = 0; i < plan->cpus; i++) {
        uint64_t first = plan->data + i * each;

        make_share(&plan->share[i], spec, first, i + 1 == plan->cpus ? plan->pages - first : each);
    }
    return 0;
}

/* ---- what never changes ------------------------------------------------------------------------------------------ */

/* @count pages from @first on, @each bytes apart. */
static void fill_table(uint64_t *entry, uint64_t first, uint64_t count, uint64_t each, uint64_t flags)
{
    for (uint64_t i = 0; i < count && i < TABLE_ENTRIES; i++)
        entry[i] = (first + i * each) | flags;
}

static void write_table(const struct kvm_plan *plan, uint64_t page, uint64_t *entry)
{
    uint64_t pointers = 1, directories = pointers + plan->pointers;

    if (page < pointers) {
        fill_table(entry, kvm_plan_address(pointers), plan->pointers, FERRY_PAGE_BYTES, ENTRY_TABLE);
    } else if (page < directories) {
        uint64_t skip = (page - pointers) * TABLE_ENTRIES;

        fill_table(entry, kvm_plan_address(directories + skip), plan->directories - skip, FERRY_PAGE_BYTES,
                   ENTRY_TABLE);
    } else {
        uint64_t base = (page - directories) << GIB_SHIFT;
        uint64_t huge = divide_up(kvm_plan_address(plan->pages) - base, UINT64_C(1) << HUGE_SHIFT);

        fill_table(entry, base, huge, UINT64_C(1) << HUGE_SHIFT, ENTRY_HUGE);
    }
}

/* Of the task state segment the guest needs the map of ports: a clear bit lets it in, and a byte of ones ends it. */
static void write_tss(uint8_t *to)
{
    to[TSS_MAP_BASE] = TSS_BYTES;
    to[TSS_BYTES + TSS_MAP_BYTES] = 0xff;
}

static void write_cpu_page(const struct kvm_plan *plan, const struct kvm_share *share, uint8_t *to)
{
    uint64_t *fixed = (uint64_t *)to;

    fixed[KVM_PAGE_OWNER / 8] = plan->content.owner;
    fixed[KVM_PAGE_SECRET / 8] = plan->content.secret;
    fixed[KVM_PAGE_FIRST / 8] = share->first;
    fixed[KVM_PAGE_SPREAD / 8] = share->spread;
    fixed[KVM_PAGE_WRITTEN / 8] = share->written;
    fixed[KVM_PAGE_STRIDE / 8] = share->stride;
    fixed[KVM_PAGE_ONES / 8] = 1;
    fixed[KVM_PAGE_ONES / 8 + 1] = plan->content.owner;
}

void kvm_plan_fixed_page(const struct kvm_plan *plan, uint64_t page, uint8_t *to)
{
    memset(to, 0, FERRY_PAGE_BYTES);
    if (page < plan->program)
        write_table(plan, page, (uint64_t *)to);
    else if (page == plan->program)
        memcpy(to, kvm_program_begin, (size_t)(kvm_program_end - kvm_program_begin));
    else if (page == plan->tss)
        write_tss(to);
    else
        write_cpu_page(plan, &plan->share[page - plan->cpu], to);
}

/* ---- what does --------------------------------------------------------------------------------------------------- */

static const struct kvm_share *find_share(const struct kvm_plan *plan, uint64_t page, unsigned *cpu)
{
    uint64_t i = (page - plan->data) / plan->share[0].pages;

    *cpu = i < plan->cpus ? (unsigned)i : plan->cpus - 1;
    return &plan->share[*cpu];
}

struct kvm_page_due kvm_plan_due(const struct kvm_plan *plan, uint64_t page, const uint64_t *lines)
{
    struct kvm_page_due due = { .kind = page < plan->data ? KVM_PAGE_IS_FIXED : KVM_PAGE_IS_ZERO };
    const struct kvm_share *share;
    uint64_t offset, d, steps, turn;
    unsigned cpu;

    if (page < plan->data)
        return due;
    share = find_share(plan, page, &cpu);
    if (share->data == 0)
        return due;
    offset = page - share->first;
    d = divide_up(offset << 16, share->spread);
    if (d * share->spread >> 16 != offset)
        return due;
    due.kind = KVM_PAGE_IS_DATA;
    if (d >= share->written)
        return due;
    steps = lines[cpu] >> KVM_PAGE_LINES_SHIFT;
    turn = d * share->inverse % share->written; /* both are less than 2^28 */
    due.generation = steps / share->written + (turn < steps % share->written);
    due.begun = turn == steps % share->written;
    if (due.begun)
        due.lines = lines[cpu] % (1 << KVM_PAGE_LINES_SHIFT);
    return due;
}
