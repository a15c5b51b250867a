/* process.h - start a function in a process of its own, watch it, end it. */
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
    SHOAL_START_SPAWN,      /* the program itself started again: nothing is inherited */
};

enum {
    SHOAL_PROCESS_DAEMON = 1 << 0,   /* is terminated when this process ends in order (it dies with it in any case), and
                                        may not start processes itself */
    SHOAL_PROCESS_DETACHED = 1 << 1, /* goes on living when this process dies */
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

/* Name a function (a name of up to 63 bytes, not copied; a second function under a name is -EEXIST). */
SHOAL_API int shoal_register(const char *name, void (*function)(void));

/* The main-process guard: call it first in main of a program that uses forkserver or spawn. In the program it
 * returns 0; in a child that was started from the program it runs the child's function and never returns. A child
 * that reaches shoal_process_start without it gets -EPERM, so a program cannot start itself for ever. */
SHOAL_API int shoal_main(int argc, char **argv);

/* Choose what SHOAL_START_DEFAULT means in this process and its children. */
SHOAL_API int shoal_process_set_start(enum shoal_start start);

/* Start function(argument) in a child; options may be NULL. -ENOENT where the way to start needs a name and function
 * has none; -EPERM from a daemon, or without shoal_main in a child; -EAGAIN or -ENOSPC where there are too many
 * processes; -ENOMEM. */
SHOAL_API int shoal_process_start(const struct shoal_process_options *options, shoal_process_function *function,
                                  const void *argument, size_t size, shoal_process **ret_process);

/* Drop the handle; NULL is fine. A process that still runs goes on, and is reaped when it ends. */
SHOAL_API void shoal_process_free(shoal_process *process);

SHOAL_API pid_t shoal_process_pid(const shoal_process *process);
SHOAL_API const char *shoal_process_name(const shoal_process *process);

/* A descriptor that becomes readable when the process ends (a pidfd). It belongs to the handle. */
SHOAL_API int shoal_process_sentinel(const shoal_process *process);

/* 1 while it runs, else 0. */
SHOAL_API int shoal_process_is_alive(shoal_process *process);

/* Wait for its end: 0, -EAGAIN, -ETIMEDOUT; -ECHILD in a process that did not start it. */
SHOAL_API int shoal_process_join(shoal_process *process, int64_t timeout);

/* How it ended; -EAGAIN while it runs. */
SHOAL_API int shoal_process_exit(shoal_process *process, struct shoal_exit *ret_exit);

/* SIGTERM; SIGKILL. 0 too where it has ended already. */
SHOAL_API int shoal_process_terminate(shoal_process *process);
SHOAL_API int shoal_process_kill(shoal_process *process);

/* CPUs that this process may use: affinity and control group quota counted; at least 1. */
SHOAL_API int shoal_cpu_count(void);

SHOAL_END

#endif
