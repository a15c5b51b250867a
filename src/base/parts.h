/* parts.h - bytes that lie in several places and belong one after another. */
#ifndef SH_PARTS_H
#define SH_PARTS_H

#include <shoal/base.h>
#include <string.h>

/* Copy all parts to where there is room for them. */
static inline void sh_parts_copy(char *to, const struct shoal_bytes *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size)
            memcpy(to, parts[i].data, parts[i].size);
        to += parts[i].size;
    }
}

#endif
