/* pages.c - finds out which pages of shared memory a function writes.
 *
 * All shared memory files are made read-only for the time of the call; each write faults, and the handler notes the
 * page and lets it be written. */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096
#define RANGES_MAX 64

static struct {
    struct range {
        uintptr_t begin, end;
    } range[RANGES_MAX];
    size_t ranges;
    struct step_pages *pages;
    int overflow;
} learn;

static void on_write(int sig, siginfo_t *info, void *context)
{
    uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1);

    (void)context;
    for (size_t i = 0; i < learn.ranges; i++) {
        if (page < learn.range[i].begin || page >= learn.range[i].end)
            continue;
        if (learn.pages->count < STEP_PAGES_MAX)
            learn.pages->page[learn.pages->count++] = page;
        else
            learn.overflow = 1;
        if (mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE) < 0)
            abort();
        return;
    }
    signal(sig, SIG_DFL); /* a real fault: it strikes again, and kills */
}

/* Writable shared mappings of memfds. */
static int find_ranges(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");

    if (!maps)
        return -errno;
    learn.ranges = 0;
    while (fgets(line, sizeof line, maps)) {
        unsigned long begin, end;
        char mode[8];
        if (sscanf(line, "%lx-%lx %7s", &begin, &end, mode) != 3 || strcmp(mode, "rw-s") != 0 ||
            !strstr(line, "/memfd:"))
            continue;
        if (learn.ranges == RANGES_MAX) {
            fclose(maps);
            return -E2BIG;
        }
        learn.range[learn.ranges++] = (struct range){begin, end};
    }
    fclose(maps);
    return 0;
}

static int protect(int mode)
{
    for (size_t i = 0; i < learn.ranges; i++) {
        const struct range *range = &learn.range[i];
        if (mprotect((void *)range->begin, range->end - range->begin, mode) < 0)
            return -errno;
    }
    return 0;
}

int step_learn(struct step_pages *pages, void (*function)(void))
{
    struct sigaction action = {.sa_sigaction = on_write, .sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER};
    struct sigaction before;

    pages->count = 0;
    learn.pages = pages;
    learn.overflow = 0;
    int r = find_ranges();
    if (r < 0)
        return r;
    sigaction(SIGSEGV, &action, &before);
    r = protect(PROT_READ);
    if (r == 0) {
        function();
        r = protect(PROT_READ | PROT_WRITE);
    }
    sigaction(SIGSEGV, &before, NULL);
    return r < 0 ? r : learn.overflow ? -E2BIG : 0;
}

/* The first object that the loader tells of is the program. */
static int note_base(struct dl_phdr_info *info, size_t size, void *base)
{
    (void)size;
    *(uintptr_t *)base = info->dlpi_addr;
    return 1;
}

uintptr_t step_base(void)
{
    uintptr_t base = 0;

    dl_iterate_phdr(note_base, &base);
    return base;
}
