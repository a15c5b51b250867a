/* visit.c - visits the points before and after chosen instructions, and runs all others at full speed.
 *
 * At each of them stands a breakpoint. Where one is come by, all are lifted - the visitor may use libc, where some
 * stand -, the instruction is executed with the trap flag, and all are planted again. */
#include "step.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if STEP_SUPPORTED
#define PAGE 4096
#define TRAP_FLAG 0x100
#define BREAKPOINT 0xcc

static struct {
    struct place {
        volatile unsigned char *at;
        unsigned char original;
        bool is_forgotten;
    } place[STEP_PLACES_MAX];
    size_t count;
    step_visitor *visit;
    uintptr_t executing; /* the instruction that is executed with the trap flag; 0: none */
} visits;

static void plant(void)
{
    for (size_t i = 0; i < visits.count; i++)
        if (!visits.place[i].is_forgotten)
            *visits.place[i].at = BREAKPOINT;
}

static void lift(void)
{
    for (size_t i = 0; i < visits.count; i++)
        *visits.place[i].at = visits.place[i].original;
}

static struct place *place_at(uintptr_t pc)
{
    for (size_t i = 0; i < visits.count; i++)
        if ((uintptr_t)visits.place[i].at == pc && !visits.place[i].is_forgotten)
            return &visits.place[i];
    return NULL;
}

void step_forget_place(uintptr_t pc)
{
    struct place *place = place_at(pc);
    if (place)
        place->is_forgotten = true;
}

/* Visit the point before pc, which the instruction executed last, if any, has led to. */
static void visit(uintptr_t pc)
{
    unsigned what = step_is_syscall(pc) ? STEP_CALLS : 0;

    if (visits.executing)
        what |= step_is_syscall(visits.executing) ? STEP_RETURNED : STEP_WROTE;
    visits.visit(pc, what);
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
    mcontext_t *at = &((ucontext_t *)context)->uc_mcontext;
    greg_t *r = at->gregs;
    int saved = errno;

    (void)sig;
    (void)info;
    lift();
    if (visits.executing)
        r[REG_EFL] &= ~TRAP_FLAG;
    else
        r[REG_RIP]--;
    visit((uintptr_t)r[REG_RIP]);
    visits.executing = 0;
    while (place_at((uintptr_t)r[REG_RIP])) {
        visits.executing = (uintptr_t)r[REG_RIP];
        if (!step_carry_out_string(at))
            break;
        visit((uintptr_t)r[REG_RIP]);
        visits.executing = 0;
    }
    if (visits.executing)
        r[REG_EFL] |= TRAP_FLAG;
    else
        plant();
    errno = saved;
}

static void add_place(uintptr_t pc)
{
    void *page = (void *)(pc & ~(uintptr_t)(PAGE - 1));

    /* Code is mapped privately: writing to it copies the page, for this process alone. Instructions may cross pages,
     * their first bytes do not. */
    if (visits.count == STEP_PLACES_MAX || mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) < 0)
        abort();
    visits.place[visits.count++] =
        (struct place){.at = (volatile unsigned char *)pc, .original = *(const unsigned char *)pc};
}

void step_visit_places(const uintptr_t *places, size_t count, step_visitor *visitor, void (*function)(void))
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigaction before;

    visits.count = 0;
    visits.executing = 0;
    visits.visit = visitor;
    for (size_t i = 0; i < count; i++)
        if (places[i])
            add_place(places[i]);
    sigaction(SIGTRAP, &action, &before);
    plant();
    step_call(function, 0);
    lift();
    sigaction(SIGTRAP, &before, NULL);
}
#else
void step_forget_place(uintptr_t pc)
{
    (void)pc;
}

void step_visit_places(const uintptr_t *places, size_t count, step_visitor *visitor, void (*function)(void))
{
    (void)places, (void)count, (void)visitor, (void)function;
    abort();
}
#endif
