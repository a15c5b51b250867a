/* board.h - a page on which the processes of a test tell each other how far they are. */
#ifndef UNIT_BOARD_H
#define UNIT_BOARD_H

#include "harness.h"

#include <shoal/ref.h>
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

#endif
