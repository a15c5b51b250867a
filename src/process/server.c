/* server.c - both sides of the forkserver. */
#include "process/server.h"

#include "os/clock.h"
#include "os/life.h"
#include "os/poll.h"
#include "os/socket.h"
#include "process/self.h"

#include <errno.h>
#include <stdlib.h>

#define NAME "shoal-server"

/* A server that has not answered for so long is stopped or stuck: it is killed. */
#define PATIENCE INT64_C(5000000000)

enum { START, REAP, ABANDON };
enum { PIDFD, GATE, HANDED }; /* the descriptors that go with the answer to START */

struct request {
    uint32_t what;
    int32_t pid; /* REAP, ABANDON: a child of the server's */
    struct sh_again_call call;
};

struct answer {
    int32_t result; /* START: the pid; 0, or an error */
    int32_t reserved;
    struct sh_process_end end; /* REAP */
};

/* The connection. Under sh_self_lock. */
static struct {
    int socket; /* -1: no server */
    int pidfd;
    pid_t pid;
    uint32_t number; /* counts this process's servers */
} server = {.socket = -1, .pidfd = -1};

/* --- The client. sh_self_lock is held. --- */

static void drop(void)
{
    if (server.socket < 0)
        return;
    sh_socket_close(server.socket);
    sh_process_abandon(server.pidfd, server.pid);
    server.socket = server.pidfd = -1;
    server.pid = 0;
}

void sh_server_forget(void)
{
    if (server.socket < 0)
        return;
    sh_socket_close(server.socket);
    sh_process_close(server.pidfd);
    server.socket = server.pidfd = -1;
    server.pid = 0;
}

void sh_server_collect(void)
{
    if (server.socket >= 0 && sh_poll_readable(server.pidfd, SH_DEADLINE_PAST) == 0)
        drop();
}

/* See that there is a server. */
static int ensure(int ticket)
{
    sh_server_collect();
    if (server.socket >= 0)
        return 0;
    pid_t pid = sh_again_start(NULL, ticket, &server.pidfd, &server.socket);
    if (pid < 0)
        return pid;
    server.pid = pid;
    server.number++;
    return 0;
}

/* Ask, and hear the answer: 0, or -ECHILD where there is no server any more; -EMFILE with an answer that is complete
 * but for its descriptors. */
static int ask(const struct request *request, struct answer *ret_answer, int *ret_fds, unsigned count)
{
    int r = sh_socket_send(server.socket, request, sizeof *request, NULL, 0);

    if (r == 0)
        r = sh_again_receive(server.socket, server.pidfd, ret_answer, sizeof *ret_answer, ret_fds, count,
                             sh_clock_now() + PATIENCE);
    if (r == 0 || r == -EMFILE)
        return r;
    drop();
    return -ECHILD;
}

/* One try to start a process. */
static pid_t ask_for_process(const struct request *request, int *ret_handed)
{
    struct answer answer;
    int r = ask(request, &answer, ret_handed, HANDED);

    if (r == -EMFILE) { /* its child waits at a gate that nobody can open */
        struct request abandon = {.what = ABANDON, .pid = answer.result};
        ask(&abandon, &answer, NULL, 0);
    }
    return r < 0 ? r : answer.result;
}

pid_t sh_server_start(const struct sh_again_call *call, int ticket, uint32_t *ret_number, int *ret_pidfd, int *ret_gate)
{
    struct request request = {.what = START, .call = *call};
    int handed[HANDED];

    sh_self_lock();
    pid_t pid = ensure(ticket);
    if (pid == 0)
        pid = ask_for_process(&request, handed);
    if (pid == -ECHILD) { /* it was killed in the middle: once more, with another */
        pid = ensure(ticket);
        if (pid == 0)
            pid = ask_for_process(&request, handed);
    }
    if (pid > 0) {
        *ret_number = server.number;
        *ret_pidfd = handed[PIDFD];
        *ret_gate = handed[GATE];
    }
    sh_self_unlock();
    return pid;
}

int sh_server_reap(uint32_t number, pid_t pid, struct sh_process_end *ret_end)
{
    struct request request = {.what = REAP, .pid = pid};
    struct answer answer;

    if (server.socket < 0 || server.number != number)
        return -ECHILD;
    int r = ask(&request, &answer, NULL, 0);
    if (r == 0)
        r = answer.result;
    if (r == 0)
        *ret_end = answer.end;
    return r;
}

pid_t sh_server_descriptors(int ret_fds[2])
{
    sh_self_lock();
    pid_t pid = server.pid;
    ret_fds[0] = server.socket;
    ret_fds[1] = server.pidfd;
    sh_self_unlock();
    return pid;
}

/* --- The server. --- */

/* Fork a child for a start that is prepared. */
static pid_t fork_child(const struct sh_start *start, int socket, int *ret_handed)
{
    int ticket;
    int r = sh_life_ticket_again(&ticket);

    if (r < 0)
        return r;
    pid_t pid = sh_process_fork_gated(&ret_handed[PIDFD], &ret_handed[GATE]);
    if (pid == 0) {
        sh_socket_close(socket);
        sh_process_heed_interrupt();
        sh_again_take_name();
        sh_start_forked(start, ticket);
    }
    sh_life_close(ticket);
    return pid;
}

static int serve_start(int socket, const struct sh_again_call *call)
{
    struct answer answer = {0};
    struct sh_start start;
    int handed[HANDED];

    answer.result = sh_again_prepare(call, &start);
    if (answer.result == 0) {
        answer.result = fork_child(&start, socket, handed);
        free(start.argument);
    }
    if (answer.result < 0)
        return sh_socket_send(socket, &answer, sizeof answer, NULL, 0);
    int r = sh_socket_send(socket, &answer, sizeof answer, handed, HANDED);
    if (r < 0)
        sh_process_abandon(handed[PIDFD], answer.result);
    else
        sh_process_close(handed[PIDFD]);
    sh_process_close(handed[GATE]);
    return r;
}

static int serve_end(int socket, pid_t pid, int is_abandoned)
{
    struct answer answer = {0};
    int pidfd = sh_process_open(pid);

    answer.result = pidfd < 0 ? -ECHILD : 0;
    if (pidfd >= 0 && is_abandoned) {
        sh_process_abandon(pidfd, pid);
    } else if (pidfd >= 0) {
        answer.result = sh_process_reap(pidfd, pid, &answer.end);
        sh_process_close(pidfd);
    }
    return sh_socket_send(socket, &answer, sizeof answer, NULL, 0);
}

void sh_server_serve(int socket)
{
    struct request request;

    sh_process_set_name(NAME);
    sh_process_ignore_interrupt(); /* Ctrl-C is the program's: its server goes with it */
    sh_process_flush();
    int r = 0;
    while (r == 0) { /* a server that cannot hear or answer ends: its client makes another */
        r = sh_socket_receive(socket, &request, sizeof request, NULL, 0);
        if (r == 0 && request.what == START)
            r = serve_start(socket, &request.call);
        else if (r == 0)
            r = serve_end(socket, request.pid, request.what == ABANDON);
    }
    sh_process_exit(0);
}
