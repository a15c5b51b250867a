/* server.h - the forkserver: a process with one thread, started from the program itself, that forks on request.
 *
 * Each process that uses it has one of its own, named shoal-server, which dies with it; where it was killed the next
 * start makes another. Its children die with the process that asked for them, not with the server: what a killed server
 * takes along is only a child that has not begun, and, with kernels before 6.15, the exit status of those that end
 * after it.
 *
 * The server's children wait at a gate (os/process.h) until the client has their pidfd, so a server that dies in the
 * middle of a request has started nothing, and the request can be made again. Requests are answered one by one. */
#ifndef SH_PROCESS_SERVER_H
#define SH_PROCESS_SERVER_H

#include "os/process.h"
#include "process/again.h"

#include <stdint.h>
#include <sys/types.h>

/* Let the server start a process; it makes a server with the ticket, where there is none. Returns the pid. */
pid_t sh_server_start(const struct sh_again_call *call, int ticket, uint32_t *ret_number, int *ret_pidfd,
                      int *ret_gate);

/* Let the server with this number reap a child of its, which has ended: -ECHILD where it cannot. sh_self_lock is
 * held. */
int sh_server_reap(uint32_t number, pid_t pid, struct sh_process_end *ret_end);

/* Reap a server that was killed. sh_self_lock is held. */
void sh_server_collect(void);

/* In a forked child, with sh_self_lock held: close its parent's connection. */
void sh_server_forget(void);

/* Be the server. */
void sh_server_serve(int socket) __attribute__((noreturn));

/* The connection's descriptors, -1 for none, and the server's pid, or 0. */
pid_t sh_server_descriptors(int ret_fds[2]);

#endif
