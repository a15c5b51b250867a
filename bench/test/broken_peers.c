/* broken_peers.c - tests of the benchmark itself: a link that loses, doubles, tears or swaps messages, that hangs, dies
 * or leaves a process behind, must not be given a figure. Prints TAP. */
#include "harness/lock.h"
#include "harness/measure.h"
#include "peers/descriptor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum {
    NTH = 100, /* every so many messages, something goes wrong */
    SIZE = 64,
};

static unsigned long count; /* of messages that this process sent */
static uint64_t kept[SIZE / sizeof(uint64_t)];

static int open_link(const struct bench_shape *shape, void **ret_link, char *ret_note)
{
    int fds[2];
    (void)ret_note;
    return pipe2(fds, O_CLOEXEC) < 0 ? -errno : descriptor_open(shape, fds[0], fds[1], ret_link);
}

static int open_never(const struct bench_shape *shape, void **ret_link, char *ret_note)
{
    (void)shape, (void)ret_link, (void)ret_note;
    return -ENOSPC;
}

static int open_and_hang(const struct bench_shape *shape, void **ret_link, char *ret_note)
{
    (void)shape, (void)ret_link, (void)ret_note;
    while (pause() < 0)
        ;
    return 0;
}

/* Beside the link, a process that outlives the measurement and has left its group. */
static int open_with_stray(const struct bench_shape *shape, void **ret_link, char *ret_note)
{
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        if (fork() == 0)
            sleep(60);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    return open_link(shape, ret_link, ret_note);
}

static int fits(const struct bench_shape *shape)
{
    return shape->size == SIZE && shape->producers == 2;
}

static int commit(void *context, void *message, size_t size)
{
    struct descriptor_end *end = context;
    return write(end->fd, message, size) == (ssize_t)size ? 0 : -errno;
}

static ssize_t take(void *context, void **ret_message)
{
    struct descriptor_end *end = context;
    *ret_message = end->buffer;
    return read(end->fd, end->buffer, end->size);
}

static int commit_or_lose(void *end, void *message, size_t size)
{
    return ++count % NTH == 0 ? 0 : commit(end, message, size);
}

static int commit_twice(void *end, void *message, size_t size)
{
    int r = ++count % NTH == 0 ? commit(end, message, size) : 0;
    return r < 0 ? r : commit(end, message, size);
}

static int commit_torn(void *end, void *message, size_t size)
{
    if (++count % NTH == 0)
        ((uint64_t *)message)[size / sizeof(uint64_t) - 1]++;
    return commit(end, message, size);
}

/* The message that was kept goes out after its successor. */
static int commit_swapped(void *end, void *message, size_t size)
{
    if (++count % NTH == 0) {
        memcpy(kept, message, size);
        return 0;
    }
    int r = commit(end, message, size);
    return r == 0 && count % NTH == 1 && count > 1 ? commit(end, kept, size) : r;
}

static int commit_and_die(void *end, void *message, size_t size)
{
    if (++count == NTH)
        raise(SIGKILL);
    return commit(end, message, size);
}

static ssize_t take_or_hang(void *end, void **ret_message)
{
    if (++count == NTH)
        for (;;)
            pause();
    return take(end, ret_message);
}

static ssize_t take_or_fail(void *end, void **ret_message)
{
    return ++count == NTH ? -EIO : take(end, ret_message);
}

#define BROKEN_PEER(symbol, what, how_to_open, how_to_commit, how_to_take)                                             \
    static const struct bench_ops symbol##_ops = {                                                                     \
        .begin = descriptor_begin,                                                                                     \
        .commit = how_to_commit,                                                                                       \
        .take = how_to_take,                                                                                           \
    };                                                                                                                 \
    BENCH_LOOPS_NAMED(symbol, symbol##_ops)                                                                            \
    static const struct bench_peer symbol = {                                                                          \
        .name = what,                                                                                                  \
        .fits = fits,                                                                                                  \
        .open = how_to_open,                                                                                           \
        .close = descriptor_close,                                                                                     \
        .enter = descriptor_enter,                                                                                     \
        .leave = descriptor_leave,                                                                                     \
        .produce = symbol##_produce,                                                                                   \
        .consume = symbol##_consume,                                                                                   \
        .send_last = symbol##_send_last,                                                                               \
    };

BROKEN_PEER(sound, "a sound link", open_link, commit, take)
BROKEN_PEER(closed, "a link that cannot be opened", open_never, commit, take)
BROKEN_PEER(stuck, "a link whose opening hangs", open_and_hang, commit, take)
BROKEN_PEER(losing, "a link that loses messages", open_link, commit_or_lose, take)
BROKEN_PEER(doubling, "a link that doubles messages", open_link, commit_twice, take)
BROKEN_PEER(tearing, "a link that tears messages", open_link, commit_torn, take)
BROKEN_PEER(swapping, "a link that swaps messages", open_link, commit_swapped, take)
BROKEN_PEER(hanging, "a receiver that hangs", open_link, commit, take_or_hang)
BROKEN_PEER(failing, "a receiver that fails", open_link, commit, take_or_fail)
BROKEN_PEER(dying, "a sender that dies", open_link, commit_and_die, take)
BROKEN_PEER(straying, "a link that leaves a process behind", open_with_stray, commit, take)

const struct bench_size bench_sizes[BENCH_SIZES] = {{SIZE, "64 B"}, {128, "-"}, {256, "-"}, {512, "-"}, {1024, "-"}};
const struct bench_peer *const bench_peers[] = {
    &sound, &closed, &stuck, &losing, &doubling, &tearing, &swapping, &hanging, &failing, &dying, &straying, NULL,
};

/* What each of them must come to, in their order: an error, and a part of what is said of it. */
static const struct {
    int error;
    const char *note;
} expected[] = {
    {0, ""},
    {-ENOSPC, "cannot be opened"},
    {-ETIMEDOUT, "hung"},
    {-EBADMSG, "messages sent"},
    {-EBADMSG, "out of order"},
    {-EBADMSG, "torn"},
    {-EBADMSG, "out of order"},
    {-ENODATA, "fewer than 20 messages"},
    {-EIO, "receiving failed"},
    {-ECHILD, "died of signal 9"},
    {-ECHILD, "left 1 process behind"},
};

_Static_assert(sizeof expected / sizeof *expected + 1 == sizeof bench_peers / sizeof *bench_peers, "one for each");

int main(void)
{
    static struct bench_plan plan;
    struct bench_settings settings = {
        .only = "throughput 2:2/",
        .warm = 5000000,
        .window = 20000000,
        .patience = INT64_C(2000000000),
    };
    int failures = 0;
    bench_throughput_plan(&plan, &settings);
    printf("1..%u\n", plan.count);
    for (unsigned i = 0; i < plan.count; i++) {
        struct bench_outcome outcome = bench_measure_case(&plan.cases[i], &settings);
        int holds = outcome.error == expected[i].error && strstr(outcome.note, expected[i].note) &&
                    (outcome.error || outcome.value > 0);
        printf("%sok %u - %s: %s\n", holds ? "" : "not ", i + 1, plan.cases[i].contestant,
               outcome.error ? outcome.note : "has a figure");
        fflush(stdout);
        failures += !holds;
    }
    return failures > 0 || plan.count != sizeof expected / sizeof *expected;
}
