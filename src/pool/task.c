/* task.c - the public calls for task functions. */
#include "arena/block.h"
#include "pool/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Whether this is the worker that runs the task: 0, -EINVAL, or -EPERM in a child that the function forked. */
static int enter(const struct shoal_task *task)
{
    if (!task)
        return -EINVAL;
    return sh_thread_process_epoch() == task->epoch ? 0 : -EPERM;
}

int shoal_task_arg(const shoal_task *task, void *buffer, size_t size)
{
    if (!task || (!buffer && size))
        return -EINVAL;
    if (task->size != size)
        return -EMSGSIZE;
    if (size)
        memcpy(buffer, task->data, size);
    return 0;
}

int shoal_task_data(const shoal_task *task, struct shoal_bytes *ret_item)
{
    if (!task || !ret_item)
        return -EINVAL;
    *ret_item = (struct shoal_bytes){.data = task->data, .size = task->size};
    return 0;
}

uint64_t shoal_task_item(const shoal_task *task)
{
    return task ? task->item : 0;
}

int sh_task_reserve(struct shoal_task *task, size_t size, void **ret_data)
{
    uint64_t block = 0;

    if (size > task->room) {
        int r = sh_block_alloc(size, &block);
        if (r < 0)
            return r;
        sh_block_touch(block, size);
    }
    if (task->block)
        sh_block_free(task->block);
    task->block = block;
    task->result_size = size;
    *ret_data = block ? sh_at(block) : (char *)task->record + offsetof(struct sh_item, data);
    return 0;
}

int shoal_task_return(shoal_task *task, const void *data, size_t size)
{
    void *to;
    int r = enter(task);

    if (r < 0 || (!data && size))
        return r < 0 ? r : -EINVAL;
    r = sh_task_reserve(task, size, &to);
    if (r == 0 && size)
        memcpy(to, data, size);
    return r;
}

int shoal_task_fail(shoal_task *task, int error, const char *format, ...)
{
    va_list arguments;
    int r = enter(task);

    if (r < 0)
        return r;
    if (error >= 0 || !format)
        return -EINVAL;
    if (!task->told && sh_block_alloc(sizeof(struct sh_failure), &task->told) < 0)
        return error; /* without memory for the words the code has to do */
    struct sh_failure *failure = sh_at(task->told);
    failure->error = error;
    va_start(arguments, format);
    vsnprintf(failure->message, sizeof failure->message, format, arguments);
    va_end(arguments);
    return error;
}
