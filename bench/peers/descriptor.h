/* descriptor.h - what the peers have in common whose link is a pair of file descriptors. */
#ifndef BENCH_DESCRIPTOR_H
#define BENCH_DESCRIPTOR_H

#include "harness/loops.h"

#include <unistd.h>

struct descriptor_link {
    int fds[2]; /* to receive from, to send to */
    size_t size;
};

struct descriptor_end {
    int fd;
    size_t size;
    void *buffer;
};

static inline int descriptor_open(const struct bench_shape *shape, int in, int out, void **ret_link)
{
    struct descriptor_link *link = malloc(sizeof *link);
    if (!link)
        return -ENOMEM;
    *link = (struct descriptor_link){.fds = {in, out}, .size = shape->size};
    *ret_link = link;
    return 0;
}

static inline void descriptor_close(void *context)
{
    struct descriptor_link *link = context;
    close(link->fds[0]);
    close(link->fds[1]);
    free(link);
}

static inline int descriptor_enter(void *context, enum bench_role role, unsigned index, void **ret_end)
{
    struct descriptor_link *link = context;
    struct descriptor_end *end = malloc(sizeof *end);
    (void)index;
    if (!end)
        return -ENOMEM;
    *end = (struct descriptor_end){
        .fd = link->fds[role == BENCH_PRODUCER],
        .size = link->size,
        .buffer = bench_buffer(link->size),
    };
    *ret_end = end;
    return end->buffer ? 0 : -ENOMEM;
}

static inline void descriptor_leave(void *context)
{
    struct descriptor_end *end = context;
    free(end->buffer);
    free(end);
}

static inline void *descriptor_begin(void *context, size_t size)
{
    struct descriptor_end *end = context;
    (void)size;
    return end->buffer;
}

#endif
