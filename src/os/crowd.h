/* crowd.h - a set of descriptors, of which one waits for any to become readable. */
#ifndef SH_OS_CROWD_H
#define SH_OS_CROWD_H

#include <stdint.h>

/* Make an empty set: a descriptor, close-on-exec, for as long as the process lives. -EMFILE, -ENFILE, -ENOMEM. */
int sh_crowd_open(void);

/* Add a descriptor under a number, while it is open; take it out. -ENOMEM, -ENOSPC. */
int sh_crowd_add(int set, int fd, uint32_t number);
void sh_crowd_remove(int set, int fd);

/* Wait until one of them is readable or hung up: 0 and its number; -ETIMEDOUT, -EINTR. */
int sh_crowd_wait(int set, int64_t deadline, uint32_t *ret_number);

#endif
