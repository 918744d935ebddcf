/* Levels of data caches that forget the line that was used longest ago, without prefetching.
 *
 * One thread's accesses, each taken for the line of its first byte, by virtual addresses.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS 3
#define LINE_BITS 6 /* 64 bytes, as in all of these cores */

/* The last used lines of each set, in order of use. */
static struct {
    size_t sets, ways;
    uint64_t *lines, misses;
} caches[LEVELS];
static size_t levels;

static void on_access(unsigned cpu, uint32_t info, uint64_t address, void *data)
{
    (void)cpu, (void)info, (void)data;
    uint64_t line = address >> LINE_BITS;
    for (size_t i = 0; i < levels; i++) {
        uint64_t *set = caches[i].lines + line % caches[i].sets * caches[i].ways;
        size_t way = 0, last = caches[i].ways - 1;
        while (way < last && set[way] != line)
            way++;
        bool hit = set[way] == line;
        memmove(set + 1, set, way * sizeof *set);
        set[0] = line;
        if (hit)
            return;
        caches[i].misses++;
    }
}

/* `text` is SETSxWAYS:SETSxWAYS... */
static bool add_caches(const char *text)
{
    for (; levels < LEVELS; levels++) {
        int length = 0;
        size_t sets, ways;
        if (sscanf(text, "%zux%zu%n", &sets, &ways, &length) != 2 || !sets || !ways)
            return false;
        caches[levels].sets = sets;
        caches[levels].ways = ways;
        if (!(caches[levels].lines = calloc(sets * ways, sizeof *caches[levels].lines)))
            return false;
        text += length;
        if (*text++ != ':')
            return levels++, text[-1] == 0;
    }
    return false;
}
