/* paths.h - the regular files below some folders, sorted. */
#ifndef PATHS_H
#define PATHS_H

#include <shoal/base.h>
#include <stddef.h>

/* Each path with its final zero byte, ready to be submitted as items of a map. */
struct paths {
    struct shoal_bytes *items;
    size_t count, room;
};

/* Add a file, or all files below a folder; links are not followed. Returns 0, or a negative errno. */
int paths_add(struct paths *paths, const char *top);
void paths_sort(struct paths *paths);
const char *paths_at(const struct paths *paths, size_t i);
void paths_free(struct paths *paths);

#endif
