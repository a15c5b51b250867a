/* process.c - fork, posix_spawn, pidfds, waitid. */
#include "os/process.h"

#include "os/clock.h"
#include "os/file.h"
#include "os/poll.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_send_signal /* the same numbers on all architectures */
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#define WAIT_BY_PIDFD ((idtype_t)3) /* P_PIDFD, which older headers lack */

/* What the kernel remembers of a process, as of 6.15 with its exit status: the first version of struct pidfd_info. */
struct pidfd_memory {
    uint64_t mask;
    uint64_t others[6];
    uint32_t ids;
    int32_t status;
};
#define MEMORY_OF_END (UINT64_C(1) << 3)
#define GET_MEMORY _IOWR(0xff, 11, struct pidfd_memory)

_Static_assert(sizeof(struct pidfd_memory) == 64, "struct pidfd_memory is as the kernel has it");

/* How often a child that waits for its parent looks whether it is still there. */
#define GATE_LOOK INT64_C(100000000)

int sh_process_open(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    return fd < 0 ? -errno : fd;
}

/* Wait, in a forked child, until the gate is open. A parent that dies before leaves a child that has done nothing; it
 * may see parent 0 where it has a pid namespace of its own. */
static void await_gate(int gate, pid_t parent)
{
    while (sh_poll_readable(gate, sh_clock_now() + GATE_LOOK) < 0) {
        pid_t now = getppid();
        if (now != parent && now != 0)
            raise(SIGKILL);
    }
}

/* The pidfd of a child that has just been made; where there is none the child is undone. -ECHILD where it has ended
 * already, and another thread, or the kernel for a program that ignores SIGCHLD, has reaped it. */
static int hold(pid_t pid)
{
    int pidfd = sh_process_open(pid);

    if (pidfd >= 0)
        return pidfd;
    if (pidfd == -ESRCH)
        return -ECHILD;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return pidfd;
}

pid_t sh_process_fork_gated(int *ret_pidfd, int *ret_gate)
{
    pid_t parent = getpid();
    int gate = eventfd(0, EFD_CLOEXEC);

    if (gate < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        await_gate(gate, parent);
        close(gate);
        return 0;
    }
    int pidfd = pid < 0 ? -errno : hold(pid);
    if (pidfd < 0) {
        close(gate);
        return pidfd;
    }
    *ret_pidfd = pidfd;
    *ret_gate = gate;
    return pid;
}

void sh_process_open_gate(int gate)
{
    eventfd_write(gate, 1);
    close(gate);
}

pid_t sh_process_fork(int *ret_pidfd)
{
    int gate;
    pid_t pid = sh_process_fork_gated(ret_pidfd, &gate);

    if (pid > 0)
        sh_process_open_gate(gate);
    return pid;
}

static int prepare_spawn(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int fd,
                         const sigset_t *mask)
{
    int r = posix_spawn_file_actions_init(actions);

    if (r)
        return -r;
    r = posix_spawn_file_actions_adddup2(actions, fd, SH_PROCESS_HANDED); /* clears close-on-exec, even from 3 to 3 */
#ifdef SH_HAVE_CLOSEFROM
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(actions, SH_PROCESS_HANDED + 1);
#endif
    if (r == 0)
        r = posix_spawnattr_init(attributes);
    if (r) {
        posix_spawn_file_actions_destroy(actions);
        return -r;
    }
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(attributes, mask);
    return 0;
}

pid_t sh_process_spawn(char *const *arguments, char *const *environment, const sigset_t *mask, int fd, int *ret_pidfd)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid;
    int r = prepare_spawn(&actions, &attributes, fd, mask);

    if (r < 0)
        return r;
    r = -posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (r < 0)
        return r;
    int pidfd = hold(pid);
    if (pidfd < 0)
        return pidfd;
    *ret_pidfd = pidfd;
    return pid;
}

void sh_process_abandon(int pidfd, pid_t pid)
{
    struct sh_process_end end;

    sh_process_signal(pidfd, SIGKILL);
    while (sh_poll_readable(pidfd, SH_DEADLINE_NEVER) < 0)
        ;
    sh_process_reap(pidfd, pid, &end);
    close(pidfd);
}

int sh_process_signal(int pidfd, int signal)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

static struct sh_process_end decode(int status)
{
    if (WIFSIGNALED(status))
        return (struct sh_process_end){.signal = WTERMSIG(status)};
    return (struct sh_process_end){.code = WEXITSTATUS(status)};
}

/* The exit status that /proc shows of a zombie: its 52nd field. The kernel shows 0 to those it does not trust with it,
 * so a 0 counts only where the process runs as the same user. */
static int read_zombie(int pidfd, pid_t pid, int *ret_status)
{
    char path[64], text[1024];
    struct stat folder;

    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    if (stat(path, &folder) < 0)
        return -errno;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (sh_file_read(path, text, sizeof text) <= 0)
        return -ESRCH;
    char *at = strrchr(text, ')');
    if (!at || strncmp(at, ") Z", 3) != 0)
        return -ESRCH;
    at++;
    for (int field = 3; field < 52 && at; field++)
        at = strchr(at + 1, ' ');
    if (!at || sh_process_signal(pidfd, 0) < 0) /* the pid was this process's all the time */
        return -ESRCH;
    int status = (int)strtol(at, NULL, 10);
    if (status == 0 && (folder.st_uid != geteuid() || folder.st_gid != getegid()))
        return -EACCES;
    *ret_status = status;
    return 0;
}

/* What is known of the end of a process that cannot be waited for. */
static int remember(int pidfd, pid_t pid, struct sh_process_end *ret_end)
{
    struct pidfd_memory memory = {.mask = MEMORY_OF_END};
    int status;

    if (sh_poll_readable(pidfd, SH_DEADLINE_PAST) < 0)
        return -EAGAIN;
    if (read_zombie(pidfd, pid, &status) == 0) {
        *ret_end = decode(status);
        return 0;
    }
    if (ioctl(pidfd, GET_MEMORY, &memory) == 0 && memory.mask & MEMORY_OF_END) {
        *ret_end = decode(memory.status);
        return 0;
    }
    return -ECHILD;
}

int sh_process_reap(int pidfd, pid_t pid, struct sh_process_end *ret_end)
{
    siginfo_t info = {0};
    int r;

    do
        r = waitid(WAIT_BY_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return errno == ECHILD ? remember(pidfd, pid, ret_end) : -errno;
    if (info.si_pid == 0)
        return -EAGAIN;
    if (info.si_code == CLD_EXITED)
        *ret_end = (struct sh_process_end){.code = info.si_status};
    else
        *ret_end = (struct sh_process_end){.signal = info.si_status};
    return 0;
}

void sh_process_signal_mask(sigset_t *ret_mask)
{
    pthread_sigmask(SIG_BLOCK, NULL, ret_mask);
}

static struct sigaction on_interrupt;

void sh_process_ignore_interrupt(void)
{
    sigaction(SIGINT, &(struct sigaction){.sa_handler = SIG_IGN}, &on_interrupt);
}

void sh_process_heed_interrupt(void)
{
    sigaction(SIGINT, &on_interrupt, NULL);
}

void sh_process_flush(void)
{
    fflush(stdout);
    fflush(stderr);
}

void sh_process_exit(int code)
{
    sh_process_flush();
    _exit(code);
}

void sh_process_quit(int code)
{
    _exit(code);
}

void sh_process_set_name(const char *name)
{
    prctl(PR_SET_NAME, name);
}

void sh_process_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

void sh_process_close_on_exec(int fd)
{
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void sh_process_get_name(char ret_name[SH_PROCESS_NAME_SIZE])
{
    ret_name[0] = 0;
    prctl(PR_GET_NAME, ret_name);
}
