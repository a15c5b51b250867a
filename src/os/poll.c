/* poll.c - poll with deadlines. */
#include "os/poll.h"

#include "base/bits.h"
#include "os/clock.h"

#include <errno.h>
#include <poll.h>

/* The time that is left, as poll wants it. */
static struct timespec time_left(int64_t deadline)
{
    int64_t now = deadline == SH_DEADLINE_PAST ? 0 : sh_clock_now();

    return sh_clock_timespec(deadline <= now ? 0 : deadline - now);
}

int sh_poll_any(const int *fds, unsigned count, int64_t deadline)
{
    struct pollfd entries[SH_POLL_MOST];

    if (count > SH_POLL_MOST)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++)
        entries[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    struct timespec left = time_left(deadline);
    int r = ppoll(entries, count, deadline == SH_DEADLINE_NEVER ? NULL : &left, NULL);
    if (r < 0)
        return -errno;
    for (unsigned i = 0; i < count; i++)
        if (entries[i].revents)
            return (int)i;
    return -ETIMEDOUT;
}

int sh_poll_readable(int fd, int64_t deadline)
{
    return sh_poll_any(&fd, 1, deadline);
}
