/* identity.h - who a process is, beyond its pid, and whether it lives. */
#ifndef SH_OS_IDENTITY_H
#define SH_OS_IDENTITY_H

#include <stdint.h>
#include <sys/types.h>

/* When a process started, in clock ticks since boot; 0 where it cannot be told. */
uint64_t sh_identity_start(pid_t pid);

/* Whether the process with this pid lives and started then (start 0: whenever). One whose threads have all ended is
 * dead, reaped or not. */
int sh_identity_is_alive(pid_t pid, uint64_t start);

/* Whether the process maps the file that this process has open as fd, which it does no longer when it has become
 * another program by exec; 1 too where that cannot be told. */
int sh_identity_maps(pid_t pid, int fd);

/* A number that is the same for processes whose pids mean the same; 0 where it cannot be told. -ENOMEM. */
int sh_identity_namespace(uint64_t *ret_namespace);

pid_t sh_identity_pid(void);

/* 64 bits that no other call, in any process, has returned. */
uint64_t sh_identity_random(void);

#endif
