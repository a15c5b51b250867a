/* again.h - the program itself started again, as a process that runs one function or as the forkserver.
 *
 * Parent and child speak over a pair of sockets, whose one end the child inherits. Before the child exists the parent
 * has sent what it is to be, with the arena's descriptor and a ticket (os/life.h); when it holds the child by a pidfd
 * it says go, and the child answers with 0 or an error. The child finds the socket in shoal_main, which the program
 * calls first: a mark in the environment names it. */
#ifndef SH_PROCESS_AGAIN_H
#define SH_PROCESS_AGAIN_H

#include "process/start.h"

#include <stdint.h>
#include <sys/types.h>

/* A start as it is told to a process that does not share this one's memory. */
struct sh_again_call {
    char function[SH_NAME_SIZE]; /* its registered name */
    char name[SH_NAME_SIZE];     /* of the process; "" where it is to show as the program */
    uint64_t block;              /* the argument: offset of a block that belongs to tag; 0: none */
    uint64_t size;
    uint32_t tag;
    uint32_t flags;
    uint32_t by_default;
    uint32_t reserved;
};

/* Whether this program called shoal_main, so that it can be started again. */
int sh_again_is_possible(void);

/* Whether this process was started again for another and has not said so by shoal_main: it may not start any. */
int sh_again_is_astray(void);

/* Start the program again, to run a call, or (NULL) as forkserver, and wait until it has answered. Returns its pid, its
 * pidfd, and, for a forkserver, this end of the pair. What the child answered, -ECHILD where it ended before, and what
 * starting a program may return. */
pid_t sh_again_start(const struct sh_again_call *call, int ticket, int *ret_pidfd, int *ret_socket);

/* Wait for a message from a process started so, and that long it lives: as sh_socket_receive, -ECHILD, -ETIMEDOUT. */
int sh_again_receive(int socket, int pidfd, void *data, size_t size, int *ret_fds, unsigned count, int64_t deadline);

/* Find the function and copy the argument: -ENOENT, -ENOMEM, -EINVAL. The arena is mapped. */
int sh_again_prepare(const struct sh_again_call *call, struct sh_start *ret_start);

/* Have ps show the program's name, in place of "exe" after a start by /proc/self/exe, or of the forkserver's. */
void sh_again_take_name(void);

#endif
