/* life.c - processes that die with another, and the pidfd primitives below the process layer. */
#include "os/life.h"

#include "harness.h"
#include "os/clock.h"
#include "os/poll.h"
#include "os/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Numbers that all processes of a test see. */
static _Atomic int *shared_numbers(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(page != MAP_FAILED);
    return page;
}

/* Fork a child that follows this process and waits for ever. */
static pid_t fork_follower(int *ret_pidfd)
{
    int ticket;

    CHECK_OK(sh_life_ticket(&ticket));
    pid_t pid = sh_process_fork(ret_pidfd);
    CHECK_GE(pid, 0);
    if (pid == 0) {
        sh_life_follow(ticket);
        for (;;)
            pause();
    }
    sh_life_close(ticket);
    return pid;
}

static struct sh_process_end await_end(int pidfd, pid_t pid)
{
    struct sh_process_end end;

    CHECK_OK(sh_poll_readable(pidfd, sh_clock_now() + test_time(10)));
    CHECK_OK(sh_process_reap(pidfd, pid, &end));
    close(pidfd);
    return end;
}

TEST(a_child_forked_is_told_apart_by_code_and_signal)
{
    struct sh_process_end end;
    int pidfd;

    for (int code = 0; code < 256; code += 51) {
        pid_t pid = sh_process_fork(&pidfd);
        if (pid == 0)
            test_exit(code);
        end = await_end(pidfd, pid);
        CHECK_EQ(end.code, code);
        CHECK_EQ(end.signal, 0);
    }
    pid_t pid = fork_follower(&pidfd);
    CHECK_RETURN(sh_process_reap(pidfd, pid, &end), -EAGAIN);
    CHECK_RETURN(sh_poll_readable(pidfd, SH_DEADLINE_PAST), -ETIMEDOUT);
    CHECK_RETURN(sh_poll_readable(pidfd, sh_clock_now() + 1000000), -ETIMEDOUT);
    CHECK_OK(sh_process_signal(pidfd, SIGKILL));
    CHECK_EQ(await_end(pidfd, pid).signal, SIGKILL);
}

TEST(the_end_of_a_child_that_somebody_else_reaped_is_known_or_said_to_be_unknown)
{
    struct sh_process_end end = {0};
    int pidfd;
    pid_t pid = sh_process_fork(&pidfd);

    if (pid == 0)
        test_exit(7);
    CHECK_EXITS(pid, 7);
    int r = sh_process_reap(pidfd, pid, &end);
    if (r != -ECHILD) {
        CHECK_OK(r);
        CHECK_EQ(end.code, 7);
    }
    CHECK_RETURN(sh_process_signal(pidfd, SIGTERM), -ESRCH);
    close(pidfd);
}

TEST(a_child_is_held_though_the_program_ignores_sigchld)
{
    struct sh_process_end end = {0};
    int pidfd;

    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 100; i++) {
        pid_t pid = sh_process_fork(&pidfd);
        CHECK_GE(pid, 0);
        if (pid == 0)
            test_exit(3);
        CHECK_OK(sh_poll_readable(pidfd, sh_clock_now() + test_time(10)));
        int r = sh_process_reap(pidfd, pid, &end);
        CHECK(r == -ECHILD || (r == 0 && end.code == 3));
        close(pidfd);
    }
    signal(SIGCHLD, SIG_DFL);
}

/* A zombie of another process: its status is in /proc. */
TEST(the_end_of_a_grandchild_that_nobody_reaps_is_known)
{
    _Atomic int *grandchild = shared_numbers();
    struct sh_process_end end;
    pid_t pid;

    CHILD(pid) {
        int pidfd;
        pid_t forked = sh_process_fork(&pidfd);
        if (forked > 0)
            *grandchild = forked;
        pause();
    }
    AWAIT(*grandchild > 0);
    int pidfd = sh_process_open(*grandchild);
    CHECK_GE(pidfd, 0);
    CHECK_RETURN(sh_process_reap(pidfd, *grandchild, &end), -EAGAIN);
    CHECK_SYS(kill(*grandchild, SIGUSR1));
    CHECK_EQ(await_end(pidfd, *grandchild).signal, SIGUSR1);
    CHECK_SYS(kill(pid, SIGKILL));
    CHECK_KILLED(pid, SIGKILL);
    munmap(grandchild, 4096);
}

TEST(a_fork_without_a_free_descriptor_runs_nothing)
{
    struct rlimit limit, none;
    _Atomic int *ran = shared_numbers();
    int pidfd = -2;

    CHECK_SYS(getrlimit(RLIMIT_NOFILE, &limit));
    none = (struct rlimit){3, limit.rlim_max};
    CHECK_SYS(setrlimit(RLIMIT_NOFILE, &none));
    pid_t pid = sh_process_fork(&pidfd);
    if (pid == 0)
        *ran = 1;
    CHECK_RETURN(pid, -EMFILE);
    CHECK_EQ(pidfd, -2);
    int ticket;
    CHECK_RETURN(sh_life_ticket(&ticket), -EMFILE);
    CHECK_SYS(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_EQ(*ran, 0);
    munmap(ran, 4096);
}

/* The test process may not be killed: a child stands for the main process. */
TEST(a_follower_dies_at_once_when_the_process_followed_is_killed)
{
    _Atomic int *follower = shared_numbers();
    pid_t pid;

    CHILD(pid) {
        int pidfd;
        *follower = fork_follower(&pidfd);
        pause();
    }
    AWAIT(*follower > 0);
    test_await_asleep(*follower);
    CHECK(test_is_alive(*follower));
    int64_t begin = test_now();
    CHECK_SYS(kill(pid, SIGKILL));
    AWAIT(!test_is_alive(*follower));
    CHECK_LT(test_now() - begin, test_time(1));
    CHECK_KILLED(pid, SIGKILL);
    munmap(follower, 4096);
}

static void *start_follower(void *argument)
{
    int pidfd;

    **(_Atomic int **)argument = fork_follower(&pidfd);
    close(pidfd);
    return NULL;
}

TEST(a_follower_outlives_the_thread_that_forked_it_and_dies_with_the_process)
{
    _Atomic int *follower = shared_numbers();
    pid_t pid;

    CHILD(pid) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, start_follower, &follower), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        test_await_asleep(follower[0]);
        CHECK(test_is_alive(follower[0]));
        follower[1] = 1;
        pause();
    }
    AWAIT(follower[1] == 1);
    CHECK_SYS(kill(pid, SIGKILL));
    AWAIT(!test_is_alive(follower[0]));
    CHECK_KILLED(pid, SIGKILL);
    munmap(follower, 4096);
}

/* A keeper forks what is to die with the main process, and not with the keeper. */
TEST(a_grandchild_can_follow_the_one_that_its_parent_follows)
{
    _Atomic int *pids = shared_numbers();
    pid_t pid;

    CHILD(pid) {
        int ticket, pidfd;
        CHECK_OK(sh_life_ticket(&ticket));
        pid_t keeper = sh_process_fork(&pidfd);
        if (keeper == 0) {
            int again;
            sh_life_follow(ticket);
            CHECK_OK(sh_life_ticket_again(&again));
            pid_t worker = sh_process_fork(&pidfd);
            if (worker == 0) {
                sh_life_follow(again);
                pids[1] = getpid();
                pause();
            }
            sh_life_close(again);
            pause();
        }
        sh_life_close(ticket);
        pids[0] = keeper;
        pause();
    }
    AWAIT(pids[0] && pids[1]);
    CHECK_SYS(kill(pids[0], SIGKILL));
    AWAIT(!test_is_alive(pids[0]));
    test_await_asleep(pids[1]);
    CHECK(test_is_alive(pids[1]));
    CHECK_SYS(kill(pid, SIGKILL));
    AWAIT(!test_is_alive(pids[1]));
    CHECK_KILLED(pid, SIGKILL);
    munmap(pids, 4096);
}

/* A child by plain fork must not keep its parent's pipe open: it would keep the followers alive. */
TEST(a_plainly_forked_child_does_not_hold_back_a_followers_death)
{
    _Atomic int *pids = shared_numbers();
    pid_t pid;

    CHILD(pid) {
        int pidfd;
        pids[0] = fork_follower(&pidfd);
        pid_t plain;
        CHILD(plain)
            pause();
        pids[1] = plain;
        pause();
    }
    AWAIT(pids[0] && pids[1]);
    CHECK_SYS(kill(pid, SIGKILL));
    AWAIT(!test_is_alive(pids[0]));
    CHECK(test_is_alive(pids[1]));
    CHECK_SYS(kill(pids[1], SIGKILL));
    CHECK_KILLED(pid, SIGKILL);
    munmap(pids, 4096);
}

TEST(who_follows_a_process_that_is_dead_already_does_not_go_on)
{
    _Atomic int *went_on = shared_numbers();
    int ticket, ends[2];
    char byte;
    pid_t pid, child;

    CHECK_SYS(pipe2(ends, O_CLOEXEC));
    CHILD(pid) {
        CHECK_OK(sh_life_ticket(&ticket));
        CHILD(child) {
            close(ends[1]);
            CHECK_SYS(read(ends[0], &byte, 1)); /* until the process followed is dead */
            sh_life_follow(ticket);
            *went_on = 1;
        }
        *(went_on + 1) = child;
    }
    close(ends[1]);
    CHECK_EXITS(pid, 0);
    AWAIT(!test_is_alive(went_on[1]));
    CHECK_EQ(went_on[0], 0);
    close(ends[0]);
    munmap(went_on, 4096);
}

TEST(a_process_that_gave_up_its_rights_can_still_be_followed)
{
    _Atomic int *pids = shared_numbers();
    pid_t pid;

    if (getuid() != 0)
        SKIP("only root can change its user");
    CHILD(pid) {
        int pidfd;
        pids[0] = fork_follower(&pidfd);
        CHECK_SYS(setresgid(65534, 65534, 65534));
        CHECK_SYS(setresuid(65534, 65534, 65534));
        pids[1] = fork_follower(&pidfd);
        pause();
    }
    AWAIT(pids[0] && pids[1]);
    test_await_asleep(pids[1]);
    CHECK_SYS(kill(pid, SIGKILL));
    AWAIT(!test_is_alive(pids[0]) && !test_is_alive(pids[1]));
    CHECK_KILLED(pid, SIGKILL);
    munmap(pids, 4096);
}

/* Without /proc a descriptor cannot be opened again: PR_SET_PDEATHSIG has to do. */
TEST(a_follower_dies_too_where_proc_is_not_there)
{
    _Atomic int *follower = shared_numbers();
    pid_t pid;

    CHILD(pid) {
        int pidfd;
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", "/proc", "tmpfs", 0, NULL) < 0) {
            *follower = -1;
            test_exit(0);
        }
        *follower = fork_follower(&pidfd);
        pause();
    }
    AWAIT(*follower != 0);
    if (*follower < 0) {
        CHECK_EXITS(pid, 0);
        SKIP("/proc cannot be hidden here");
    }
    test_await_asleep(*follower);
    CHECK_SYS(kill(pid, SIGKILL));
    AWAIT(!test_is_alive(*follower));
    CHECK_KILLED(pid, SIGKILL);
    munmap(follower, 4096);
}
