/* guard.c - a program that does not call shoal_main cannot start itself: its main runs once. */
#include <errno.h>
#include <shoal/process.h>
#include <stdio.h>

static int return_five(void *argument, size_t size)
{
    (void)argument, (void)size;
    return 5;
}
SHOAL_REGISTER(return_five)

static int fail(const char *what)
{
    printf("not so: %s\n", what);
    return 1;
}

static int start_in(enum shoal_start how, shoal_process **ret_process)
{
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process), .start = how};

    return shoal_process_start(&options, return_five, NULL, 0, ret_process);
}

int main(int argc, char **argv)
{
    shoal_process *process;
    struct shoal_exit end;

    if (start_in(SHOAL_START_SPAWN, &process) != -EPERM || start_in(SHOAL_START_FORKSERVER, &process) != -EPERM)
        return fail("a start before shoal_main is refused");
    if (shoal_main(argc, argv) != 0)
        return fail("shoal_main returns 0");
    for (enum shoal_start how = SHOAL_START_FORK; how <= SHOAL_START_SPAWN; how++) {
        if (start_in(how, &process) != 0 || shoal_process_join(process, SHOAL_SECONDS(20)) != 0 ||
            shoal_process_exit(process, &end) != 0 || end.code != 5)
            return fail("it can be started again then, though its children try the same before");
        shoal_process_free(process);
    }
    return 0;
}
