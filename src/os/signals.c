/* signals.c - the signal mask. */
#include "os/signals.h"

#include <pthread.h>

void sh_signals_block(struct sh_signals *ret_before)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &ret_before->blocked);
}

void sh_signals_restore(const struct sh_signals *before)
{
    pthread_sigmask(SIG_SETMASK, &before->blocked, NULL);
}
