/* process.h - start a function in a process of its own, watch it, end it.
 *
 * A process dies with the one that started it, at once and however that one ends, unless it is detached: join it where
 * its work is to be finished. */
#ifndef SHOAL_PROCESS_H
#define SHOAL_PROCESS_H

#include <shoal/base.h>
#include <sys/types.h>

/* A process started by this one. */
typedef struct shoal_process shoal_process;

/* What runs in the child: argument is a private copy of the bytes that shoal_process_start was given. Its return
 * value is the exit code (its lowest 8 bits). */
typedef int shoal_process_function(void *argument, size_t size);

enum shoal_start {
    SHOAL_START_DEFAULT,    /* what shoal_process_set_start chose, else fork */
    SHOAL_START_FORK,       /* a copy of this process: sees all its memory, costs little */
    SHOAL_START_FORKSERVER, /* a copy of a single-threaded process that was started from the program itself */
    SHOAL_START_SPAWN, /* the program itself started again: no memory is inherited, and of the descriptors 0 to 2 */
};

enum {
    SHOAL_PROCESS_DAEMON = 1 << 0,   /* gets SIGTERM, and half a second for it, when this process ends in order, before
                                        it dies with it; may not start processes itself */
    SHOAL_PROCESS_DETACHED = 1 << 1, /* goes on living when this process dies; not together with the other */
};

struct shoal_process_options {
    size_t size; /* SHOAL_OPTIONS(shoal_process) */
    enum shoal_start start;
    unsigned flags;   /* SHOAL_PROCESS_... */
    const char *name; /* up to 63 bytes, copied; NULL: "process-N" */
};

/* How a process ended. */
struct shoal_exit {
    int code;   /* exit code, where signal is 0 */
    int signal; /* the signal that killed it, or 0 */
};

/* Name a function, so that it can be told to a program that was started again. At file level:
 *     SHOAL_REGISTER(work)
 * Functions started by fork need no name. */
#define SHOAL_REGISTER(function)                                                                                       \
    __attribute__((constructor)) static void shoal_register_##function(void)                                           \
    {                                                                                                                  \
        (void)shoal_register(#function, (void (*)(void))(function));                                                   \
    }

SHOAL_BEGIN

/* Name a function: a name of up to 63 bytes, not copied, is -EINVAL beyond that; a second function under a name is
 * -EEXIST. */
SHOAL_API int shoal_register(const char *name, void (*function)(void));

/* The main-process guard: call it first in main of a program that uses forkserver or spawn. In the program it
 * returns 0; in a child that was started from the program it runs the child's function and never returns. Without it
 * forkserver and spawn are -EPERM, and a child that has not come through it can start no process, so a program cannot
 * start itself for ever. -EINVAL without arguments, -ENOMEM. */
SHOAL_API int shoal_main(int argc, char **argv);

/* Choose what SHOAL_START_DEFAULT means in this process and its children. */
SHOAL_API int shoal_process_set_start(enum shoal_start start);

/* Start function(argument) in a child; options may be NULL. The child ends with what function returns, having written
 * out stdout and stderr (it closes other files that it has written itself), without running what was registered with
 * atexit. From its start it holds the objects that this process has handles of (by fork), or that refs at any place in
 * argument name (else). A negative return means that function has not run and will not: -ENOENT where the way to start
 * needs a name and function has none, here or in the program started again; -EPERM from a daemon, or without
 * shoal_main; -EAGAIN or -ENOSPC where there are too many processes; -EMFILE, -ENFILE; -ECHILD where the program
 * started again ended before it reached shoal_main; -ENOMEM. */
SHOAL_API int shoal_process_start(const struct shoal_process_options *options, shoal_process_function *function,
                                  const void *argument, size_t size, shoal_process **ret_process);

/* Drop the handle; NULL is fine. A process that still runs goes on, and is reaped when it ends. */
SHOAL_API void shoal_process_free(shoal_process *process);

SHOAL_API pid_t shoal_process_pid(const shoal_process *process);
SHOAL_API const char *shoal_process_name(const shoal_process *process);

/* A descriptor that becomes readable when the process ends (a pidfd). It belongs to the handle. -ECHILD in a child
 * that this process has started. */
SHOAL_API int shoal_process_sentinel(const shoal_process *process);

/* 1 while it runs, else 0. This and what follows is -ECHILD in a process that did not start it. */
SHOAL_API int shoal_process_is_alive(shoal_process *process);

/* Wait for its end: 0, -EAGAIN, -ETIMEDOUT; -EINTR after a signal handler has run. What it held of the family's
 * memory and objects is given back then. */
SHOAL_API int shoal_process_join(shoal_process *process, int64_t timeout);

/* How it ended; -EAGAIN while it runs. -ECHILD too where the program has itself waited for it, or it was a forkserver's
 * that was killed before it, and the kernel (before 6.15) does not remember. */
SHOAL_API int shoal_process_exit(shoal_process *process, struct shoal_exit *ret_exit);

/* SIGTERM; SIGKILL. 0 too where it has ended already. */
SHOAL_API int shoal_process_terminate(shoal_process *process);
SHOAL_API int shoal_process_kill(shoal_process *process);

/* CPUs that this process may use: affinity and control group quota counted; at least 1. */
SHOAL_API int shoal_cpu_count(void);

SHOAL_END

#endif
