/* life.c - the pipes that processes die by. */
#include "os/life.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A ticket where /proc is not there. */
#define BY_PARENT (-1)

/* Descriptors of this process: its own pipe, and what it follows. Changed under the mutex. */
static struct {
    int read, write, followed;
} life = {-1, -1, -1};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void close_and_forget(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void before_fork(void)
{
    pthread_mutex_lock(&mutex);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&mutex);
}

/* The parent's pipe must have no writer but the parent. */
static void forget_in_child(void)
{
    close_and_forget(&life.read);
    close_and_forget(&life.write);
    close_and_forget(&life.followed);
    pthread_mutex_unlock(&mutex);
}

static void follow_forks(void)
{
    pthread_atfork(before_fork, after_fork, forget_in_child);
}

static int make_pipe(void)
{
    int ends[2];

    if (life.read >= 0)
        return 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    fchmod(ends[0], 0444); /* so that it can be opened again after a setuid; only this process can reach it by /proc */
    life.read = ends[0];
    life.write = ends[1];
    return 0;
}

/* The same pipe as an open file of its own. */
static int reopen(int fd, int *ret_ticket)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int ticket = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (ticket < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
        return -errno;
    *ret_ticket = ticket < 0 ? BY_PARENT : ticket;
    return 0;
}

int sh_life_ticket(int *ret_ticket)
{
    pthread_once(&fork_once, follow_forks);
    pthread_mutex_lock(&mutex);
    int r = make_pipe();
    if (r == 0)
        r = reopen(life.read, ret_ticket);
    pthread_mutex_unlock(&mutex);
    return r;
}

int sh_life_ticket_again(int *ret_ticket)
{
    pthread_mutex_lock(&mutex);
    int r = life.followed < 0 ? -ESRCH : reopen(life.followed, ret_ticket);
    pthread_mutex_unlock(&mutex);
    return r;
}

void sh_life_close(int ticket)
{
    if (ticket >= 0)
        close(ticket);
}

/* Ask for SIGKILL when the pipe's last writer goes. */
static int arm(int fd)
{
    if (fcntl(fd, F_SETOWN, getpid()) < 0 || fcntl(fd, F_SETSIG, SIGKILL) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC) < 0)
        return -errno;
    return 0;
}

void sh_life_follow(int ticket)
{
    if (ticket < 0 || arm(ticket) < 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (ticket < 0)
        return;
    struct pollfd end = {.fd = ticket, .events = POLLIN};
    int r;
    do
        r = poll(&end, 1, 0);
    while (r < 0 && errno == EINTR);
    if (r > 0) /* it went before the signal was asked for */
        raise(SIGKILL);
    pthread_once(&fork_once, follow_forks);
    pthread_mutex_lock(&mutex);
    close_and_forget(&life.followed);
    life.followed = ticket;
    pthread_mutex_unlock(&mutex);
}

void sh_life_unfollow(void)
{
    prctl(PR_SET_PDEATHSIG, 0);
    pthread_mutex_lock(&mutex);
    close_and_forget(&life.followed);
    pthread_mutex_unlock(&mutex);
}

void sh_life_descriptors(int ret_fds[SH_LIFE_DESCRIPTORS])
{
    pthread_mutex_lock(&mutex);
    ret_fds[0] = life.read;
    ret_fds[1] = life.write;
    ret_fds[2] = life.followed;
    pthread_mutex_unlock(&mutex);
}
