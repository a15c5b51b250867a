/* start.c - the child's side of a start. */
#include "process/start.h"

#include "arena/arena.h"
#include "arena/block.h"
#include "os/life.h"
#include "os/process.h"
#include "process/child.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sh_start_copy(struct sh_start *start, const void *argument, size_t size)
{
    void *copy = malloc(size ? size : 1);

    if (!copy)
        return -ENOMEM;
    if (size)
        memcpy(copy, argument, size);
    start->argument = copy;
    start->size = size;
    return 0;
}

void sh_start_forked(const struct sh_start *start, int ticket)
{
    if (start->flags & SHOAL_PROCESS_DETACHED)
        sh_life_close(ticket);
    else
        sh_life_follow(ticket);
    sh_child_close_inherited();
    sh_start_run(start);
}

/* Be the member that the parent expected. That place is gone only where the parent is dead already, which a process
 * that is not detached does not live to see. */
static void enter(const struct sh_start *start)
{
    if (sh_arena_enter_as(start->tag) < 0)
        (void)sh_arena_enter();
    else if (start->block)
        sh_block_free(start->block);
}

void sh_start_run(const struct sh_start *start)
{
    sh_self.is_daemon = (start->flags & SHOAL_PROCESS_DAEMON) != 0;
    sh_store_relaxed(&sh_self.start, start->by_default);
    if (start->name)
        sh_process_set_name(start->name);
    enter(start);
    int code = start->function(start->argument, start->size);
    sh_child_end_daemons();
    sh_process_exit(code);
}
