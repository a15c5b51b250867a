/* break.c - a breakpoint at one instruction, which acts when the function comes by for the wanted time. */
#include "step.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if STEP_SUPPORTED
#define PAGE 4096
#define TRAP_FLAG 0x100
#define BREAKPOINT 0xcc

/* The one breakpoint of this process. The handler calls nothing of libc, where it may stand. */
static struct {
    volatile unsigned char *at;
    unsigned char original;
    uint32_t turns_left;
    bool stepping; /* over the original instruction: the breakpoint is lifted */
    enum step_action action;
    struct step_report *report;
} breakpoint;

static void on_trap(int sig, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;

    (void)sig;
    (void)info;
    if (breakpoint.stepping) {
        breakpoint.stepping = false;
        r[REG_EFL] &= ~TRAP_FLAG;
        *breakpoint.at = BREAKPOINT;
        return;
    }
    if ((uintptr_t)r[REG_RIP] != (uintptr_t)breakpoint.at + 1)
        return;
    *breakpoint.at = breakpoint.original;
    r[REG_RIP] = (greg_t)(uintptr_t)breakpoint.at;
    if (--breakpoint.turns_left == 0) {
        step_act(breakpoint.action, breakpoint.report, (uintptr_t)breakpoint.at);
    } else {
        breakpoint.stepping = true;
        r[REG_EFL] |= TRAP_FLAG;
    }
}

bool step_break(const struct step_point *point, enum step_action action, struct step_report *report,
                void (*function)(void))
{
    struct sigaction handler = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigaction before;
    void *page = (void *)(point->pc & ~(uintptr_t)(PAGE - 1));

    /* Code is mapped privately: writing to it copies the page, for this process alone. */
    if (mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) < 0)
        return false;
    memset(&breakpoint, 0, sizeof breakpoint);
    breakpoint.at = (volatile unsigned char *)point->pc;
    breakpoint.original = *breakpoint.at;
    breakpoint.turns_left = point->turn;
    breakpoint.action = action;
    breakpoint.report = report;
    sigaction(SIGTRAP, &handler, &before);
    *breakpoint.at = BREAKPOINT;
    step_call(function, 0);
    *breakpoint.at = breakpoint.original;
    sigaction(SIGTRAP, &before, NULL);
    return true;
}
#else
bool step_break(const struct step_point *point, enum step_action action, struct step_report *report,
                void (*function)(void))
{
    (void)point, (void)action, (void)report, (void)function;
    return false;
}
#endif
