/* paths.c - the regular files below some folders, sorted. */
#include "paths.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>

static int append(struct paths *paths, const char *path)
{
    if (paths->count == paths->room) {
        size_t room = paths->room ? 2 * paths->room : 1024;
        struct shoal_bytes *items = realloc(paths->items, room * sizeof *items);
        if (items == NULL)
            return -ENOMEM;
        paths->items = items;
        paths->room = room;
    }
    char *copy = strdup(path);
    if (copy == NULL)
        return -ENOMEM;
    paths->items[paths->count++] = (struct shoal_bytes){copy, strlen(copy) + 1};
    return 0;
}

int paths_add(struct paths *paths, const char *top)
{
    char *copy = strdup(top);
    if (copy == NULL)
        return -ENOMEM;
    FTS *tree = fts_open((char *[]){copy, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    int r = tree == NULL ? -errno : 0;

    for (FTSENT *entry; r == 0 && (entry = fts_read(tree)) != NULL;) {
        if (entry->fts_level == 0 && entry->fts_info == FTS_NS)
            r = -entry->fts_errno;
        /* The report has a line for each file, so a name with a newline in it has no place there. */
        if (entry->fts_info == FTS_F && strchr(entry->fts_path, '\n') == NULL)
            r = append(paths, entry->fts_path);
    }
    if (tree != NULL)
        fts_close(tree);
    free(copy);
    return r;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct shoal_bytes *)a)->data, ((const struct shoal_bytes *)b)->data);
}

void paths_sort(struct paths *paths)
{
    if (paths->count > 0)
        qsort(paths->items, paths->count, sizeof *paths->items, compare);
}

const char *paths_at(const struct paths *paths, size_t i)
{
    return paths->items[i].data;
}

void paths_free(struct paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free((void *)(uintptr_t)paths->items[i].data);
    free(paths->items);
    *paths = (struct paths){0};
}
