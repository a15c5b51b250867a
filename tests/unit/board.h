/* board.h - a page on which the processes of a test tell each other how far they are. */
#ifndef UNIT_BOARD_H
#define UNIT_BOARD_H

#include "arena/handle.h"
#include "base/check.h"
#include "harness.h"
#include "os/word.h"

#include <shoal/ref.h>
#include <signal.h>
#include <sys/mman.h>

struct board {
    _Atomic int step;
    shoal_ref ref;
    _Atomic int64_t numbers[64];
};

static inline struct board *board_map(void)
{
    void *page = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    return page;
}

static inline void board_unmap(struct board *board)
{
    CHECK_SYS(munmap(board, sizeof *board));
}

/* The invariants of the object behind a handle of any noun. */
static inline void check_object(const void *noun)
{
    const struct sh_handle *handle = noun;
    if (sh_object_kinds[handle->kind]->check(handle->object) != 0)
        FAIL("%s: %s", sh_object_kinds[handle->kind]->name, sh_check_note);
}

/* What counts as being woken: well below the backstop, at which a sleeper looks by itself. */
#define AT_ONCE (SH_WORD_BACKSTOP * 3 / 4)

/* Kill a child and see it dead. Returns when it was killed. */
static inline int64_t kill_child(pid_t pid)
{
    int64_t now = test_now();
    CHECK_SYS(kill(pid, SIGKILL));
    CHECK_KILLED(pid, SIGKILL);
    return now;
}

#endif
