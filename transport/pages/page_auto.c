/* SPDX-License-Identifier: BSD-3-Clause */
/* page_auto.c - the ways that a batch can go, and which one it goes */
#include "page_auto.h"

#include "auto.h"
#include "clock.h"
#include "cpu.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct page_auto {
    struct auto_chooser chooser;
    struct encoder *encoder[AUTO_WAYS]; /* owned; raw has none */
    unsigned kind;                      /* of the batch at hand */
    enum auto_way way;
    unsigned pages_max; /* that the encoders take */
    bool goes_raw;
    int64_t began_cpu_ns; /* its encoding */
    int64_t began_ns;
    int64_t written_ns; /* when something was written last; 0: nothing to send since */
};

static int64_t thread_cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

struct page_auto *page_auto_new(const struct codec_terms *terms, unsigned channels, struct ferry_error *err)
{
    struct page_auto *choice = calloc(1, sizeof(*choice));

    if (!choice) {
        ferry_error_set(err, -ENOMEM, "no memory for choosing codecs");
        return NULL;
    }
    auto_init(&choice->chooser, channels, (unsigned)cpu_count());
    choice->pages_max = terms->pages_max;
    for (enum auto_way way = AUTO_RAW + 1; way < AUTO_WAYS; way++) {
        struct codec_terms one = *terms;

        one.id = auto_codec(way);
        one.level = auto_level(way);
        choice->encoder[way] = encoder_new(&one, err);
        if (!choice->encoder[way]) {
            page_auto_free(choice);
            return NULL;
        }
    }
    return choice;
}

void page_auto_free(struct page_auto *choice)
{
    for (unsigned way = 0; choice && way < AUTO_WAYS; way++)
        encoder_free(choice->encoder[way]);
    free(choice);
}

struct encoder *page_auto_deltas(const struct page_auto *choice)
{
    return choice->encoder[AUTO_DELTA];
}

size_t page_auto_bound(const struct page_auto *choice)
{
    size_t most = 0;

    for (unsigned way = AUTO_RAW + 1; way < AUTO_WAYS; way++) {
        size_t bound = encoder_bound(choice->encoder[way]);

        most = bound > most ? bound : most;
    }
    return most;
}

struct encoder *page_auto_choose(struct page_auto *choice, const struct codec_pages *pages, bool first,
                                 enum codec_id *codec)
{
    bool known = !first && encoder_knows(page_auto_deltas(choice), pages) > pages->count / 2;

    choice->kind = auto_look(pages, first ? AUTO_FIRST : known ? AUTO_KNOWN : AUTO_AGAIN);
    choice->way = auto_next(&choice->chooser, choice->kind);
    choice->goes_raw = choice->way == AUTO_RAW && auto_is_raw(&choice->chooser);
    if (pages->count > choice->pages_max)
        choice->way = AUTO_RAW; /* the next one has fewer, and goes the way that this one should */
    choice->began_ns = clock_now_ns();
    choice->began_cpu_ns = thread_cpu_ns();
    *codec = auto_codec(choice->way);
    return choice->encoder[choice->way];
}

bool page_auto_goes_raw(const struct page_auto *choice)
{
    return choice->goes_raw;
}

bool page_auto_encoded(struct page_auto *choice, const struct codec_pages *pages, size_t payload_bytes)
{
    size_t bytes = pages->count * pages->page_bytes;

    auto_encoded(&choice->chooser, choice->kind, choice->way, bytes, payload_bytes ? payload_bytes : bytes,
                 thread_cpu_ns() - choice->began_cpu_ns, clock_now_ns() - choice->began_ns);
    if (payload_bytes == 0)
        return false;
    if (choice->way == AUTO_DELTA)
        return true;
    if (!auto_learns(&choice->chooser, choice->kind))
        return false;
    encoder_learn(page_auto_deltas(choice), choice->encoder[choice->way], pages);
    return true;
}

void page_auto_written(struct page_auto *choice, size_t bytes, int64_t write_ns)
{
    int64_t now = clock_now_ns();

    if (bytes > 0 && choice->written_ns)
        auto_written(&choice->chooser, bytes, write_ns, now - choice->written_ns);
    choice->written_ns = now;
}
