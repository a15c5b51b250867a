/* crash.h - named places in the code where a test can let the process die.
 *
 * SH_CRASH_POINT(name) is nothing in the library that is installed. In the build for tests it calls sh_crash_hook,
 * where one is set, with the place's name; the hook of the tests kills the process at the hit that the test asked for.
 * Put one after every store that another process can see. */
#ifndef SH_BASE_CRASH_H
#define SH_BASE_CRASH_H

#ifdef SH_CRASH_POINTS
extern void (*sh_crash_hook)(const char *name);
#define SH_CRASH_POINT(name)                                                                                           \
    do {                                                                                                               \
        if (sh_crash_hook)                                                                                             \
            sh_crash_hook(#name);                                                                                      \
    } while (0)
#else
#define SH_CRASH_POINT(name) ((void)0)
#endif

#endif
