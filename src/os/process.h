/* process.h - start processes, send them signals, learn how they ended.
 *
 * A process is held by a pidfd, which is close-on-exec, never names another process, and is readable when the process
 * has ended: wait for that with os/poll.h. Nothing here waits for, or takes the exit status of, any process but the one
 * it is asked for, so the program's own children stay the program's. */
#ifndef SH_OS_PROCESS_H
#define SH_OS_PROCESS_H

#include <signal.h>
#include <sys/types.h>

/* How a process ended. */
struct sh_process_end {
    int code;   /* exit code, where signal is 0 */
    int signal; /* the signal that killed it, or 0 */
};

/* Fork by libc, with what the program asked for by pthread_atfork. In the parent, the child's pid and, in *ret_pidfd,
 * its pidfd; 0 in the child, which does not come back from here before its parent has that pidfd: it could end, and be
 * reaped by somebody else, before. -EAGAIN, -ENOMEM, -EMFILE, -ENFILE, -ECHILD where it was killed at once: then
 * nothing has run in a child. */
pid_t sh_process_fork(int *ret_pidfd);

/* The same with the gate in the caller's hands: the child waits until somebody who has *ret_gate, a descriptor, opens
 * it (and dies by SIGKILL where its parent dies before). Opening closes the descriptor too. */
pid_t sh_process_fork_gated(int *ret_pidfd, int *ret_gate);
void sh_process_open_gate(int gate);

/* The program itself (/proc/self/exe) started again, with this signal mask. fd is open in it as descriptor
 * SH_PROCESS_HANDED and all others above 2 are closed. Returns as sh_process_fork does in the parent, and the errors of
 * exec; but the child runs at once, and -ECHILD says that it has ended and is reaped already. */
#define SH_PROCESS_HANDED 3
pid_t sh_process_spawn(char *const *arguments, char *const *environment, const sigset_t *mask, int fd, int *ret_pidfd);

/* Undo a start: kill the child, wait for its end, reap it, close the pidfd. */
void sh_process_abandon(int pidfd, pid_t pid);

/* The pidfd of a process that cannot have been reaped meanwhile. -ESRCH. */
int sh_process_open(pid_t pid);

/* 0; -ESRCH where it has ended and is reaped; -EPERM. Signal 0 only asks. */
int sh_process_signal(int pidfd, int signal);

/* Take the exit status of a process, and free its entry in the process table where it is a child of this one. -EAGAIN
 * while it runs. -ECHILD where that cannot be told: it is no child, or somebody else has reaped it, and neither /proc
 * nor the kernel (6.15 and later) remembers. */
int sh_process_reap(int pidfd, pid_t pid, struct sh_process_end *ret_end);

/* The signals that this thread blocks. */
void sh_process_signal_mask(sigset_t *ret_mask);

/* Do not end by SIGINT; end by it again, where this process did before. */
void sh_process_ignore_interrupt(void);
void sh_process_heed_interrupt(void);

/* Write out what stdio holds of stdout and stderr: before a fork, so that it is not written twice. */
void sh_process_flush(void);

/* End this process: write out stdout and stderr, and go without running what was registered with atexit, which in a
 * forked child is its parent's. So may be what stdio holds of other files, and to write out those of the parent before
 * a fork could take for ever: a thread that waits for input holds its file's lock. */
void sh_process_exit(int code) __attribute__((noreturn));

/* End this process and nothing else: what stdio holds was copied from its parent, and is the parent's to write. */
void sh_process_quit(int code) __attribute__((noreturn));

/* The name that ps shows; 15 bytes of it. */
#define SH_PROCESS_NAME_SIZE 16
void sh_process_set_name(const char *name);
void sh_process_get_name(char ret_name[SH_PROCESS_NAME_SIZE]);

/* Close a descriptor, where it is not negative; let exec close it. */
void sh_process_close(int fd);
void sh_process_close_on_exec(int fd);

#endif
