/* crowd.c - epoll. */
#include "os/crowd.h"

#include "os/clock.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>

int sh_crowd_open(void)
{
    int set = epoll_create1(EPOLL_CLOEXEC);

    return set < 0 ? -errno : set;
}

int sh_crowd_add(int set, int fd, uint32_t number)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};

    return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void sh_crowd_remove(int set, int fd)
{
    epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL);
}

/* Milliseconds to a deadline, as epoll wants them, rounded up. */
static int milliseconds(int64_t deadline)
{
    if (deadline == SH_DEADLINE_NEVER)
        return -1;
    int64_t left = deadline == SH_DEADLINE_PAST ? 0 : deadline - sh_clock_now();
    if (left <= 0)
        return 0;
    return left / 1000000 >= INT_MAX ? INT_MAX : (int)(left / 1000000) + 1;
}

int sh_crowd_wait(int set, int64_t deadline, uint32_t *ret_number)
{
    struct epoll_event event;
    int r = epoll_wait(set, &event, 1, milliseconds(deadline));

    if (r <= 0)
        return r < 0 ? -errno : -ETIMEDOUT;
    *ret_number = event.data.u32;
    return 0;
}
