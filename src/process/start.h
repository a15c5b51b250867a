/* start.h - what a process is started with, and its life from there to its end. */
#ifndef SH_PROCESS_START_H
#define SH_PROCESS_START_H

#include "process/self.h"

#include <shoal/process.h>
#include <stddef.h>
#include <stdint.h>

/* Private memory of the process that runs the function, or that it is forked from. */
struct sh_start {
    shoal_process_function *function;
    void *argument; /* on the heap */
    size_t size;
    uint64_t block;      /* offset of the block that the argument came in, which belongs to tag; 0: none */
    uint32_t tag;        /* the member that the process is expected as */
    uint32_t flags;      /* SHOAL_PROCESS_... */
    uint32_t by_default; /* what SHOAL_START_DEFAULT means in it */
    const char *name;    /* to show in ps; NULL: the program's */
};

/* Copy the argument: -ENOMEM. The heap is not touched between fork and the function. */
int sh_start_copy(struct sh_start *start, const void *argument, size_t size);

/* In a child that was forked for it, and is to follow by this ticket (os/life.h): become its process. */
void sh_start_forked(const struct sh_start *start, int ticket) __attribute__((noreturn));

/* Run the function, and end with what it returns. */
void sh_start_run(const struct sh_start *start) __attribute__((noreturn));

#endif
