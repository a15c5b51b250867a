/* crash.c - the hook that tests set to die at a named place. */
#include "base/crash.h"

#ifdef SH_CRASH_POINTS
void (*sh_crash_hook)(const char *name);
#endif
