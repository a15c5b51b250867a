/* signals.h - keep all signals from this thread, and let them come again. */
#ifndef SH_OS_SIGNALS_H
#define SH_OS_SIGNALS_H

#include <signal.h>

struct sh_signals {
    sigset_t blocked;
};

/* Block all signals; ret_before is what was blocked. */
void sh_signals_block(struct sh_signals *ret_before);
void sh_signals_restore(const struct sh_signals *before);

#endif
