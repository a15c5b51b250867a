/* life.h - processes that die with another, at whatever instruction that one dies.
 *
 * A process that others follow has a pipe, and alone holds its write end. A follower holds a read end that is an open
 * file of its own, for which it has asked the kernel to send it SIGKILL when something happens: the one thing that ever
 * happens is that the last write end is closed, by the kernel, when the process followed is gone. That takes less than
 * a millisecond, no thread and no signal handler; unlike PR_SET_PDEATHSIG it does not take the end of the thread that
 * forked for the end of the process, and it does not depend on whose child the follower is.
 *
 * Write ends are closed in forked children (pthread_atfork) and by exec. A child that somebody stops before it has come
 * so far holds the others' deaths back until it goes on. A process that was made by a raw clone, or that closes
 * descriptors which are not its own, is outside of this. Where /proc is not there, PR_SET_PDEATHSIG has to
 * do. */
#ifndef SH_OS_LIFE_H
#define SH_OS_LIFE_H

/* What a child needs in order to follow: made by its parent before it starts, inherited or sent to it, for one child
 * alone, and closed by the parent afterwards (sh_life_close). The child dies with this process; or, with
 * sh_life_ticket_again, with the one that this process follows itself. -EMFILE, -ENFILE, -ENOMEM; -ESRCH where this
 * process follows none. */
int sh_life_ticket(int *ret_ticket);
int sh_life_ticket_again(int *ret_ticket);
void sh_life_close(int ticket);

/* In the child: follow. Where the other is dead already, this does not return. */
void sh_life_follow(int ticket);
/* Follow no longer: for a child that is to outlive its parent, when its start is done. */
void sh_life_unfollow(void);

/* The descriptors that this process keeps for all that, -1 for none. */
#define SH_LIFE_DESCRIPTORS 3
void sh_life_descriptors(int ret_fds[SH_LIFE_DESCRIPTORS]);

#endif
