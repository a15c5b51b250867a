/* poll.h - wait for descriptors until a deadline (os/clock.h). */
#ifndef SH_OS_POLL_H
#define SH_OS_POLL_H

#include <stdint.h>

/* Wait until the descriptor is readable or hung up; a pidfd is when its process has ended. 0; -ETIMEDOUT; -EINTR
 * after a signal handler has run. */
int sh_poll_readable(int fd, int64_t deadline);

/* The same for up to SH_POLL_MOST descriptors, of which negative ones are left out: the index of the first that is
 * ready. */
#define SH_POLL_MOST 8
int sh_poll_any(const int *fds, unsigned count, int64_t deadline);

#endif
