/* Runs one command at a time with hiredis, and prints one outcome line a turn.
 *
 * usage: PORT SECONDS COUNT GET|PUBLISH NAME VALUE
 *
 * A turn is COUNT commands, and begins with a line on the standard input.
 */
#include "common.h"

static int compare(const void *one, const void *other)
{
    uint64_t left = *(const uint64_t *)one, right = *(const uint64_t *)other;
    return (left > right) - (left < right);
}

static redisReply *command(redisContext *context, int count, const char **words)
{
    redisReply *reply = redisCommandArgv(context, count, words, NULL);
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        fail("a command failed");
    return reply;
}

int main(int argc, char **argv)
{
    if (argc != 7)
        fail("wrong arguments");
    uint64_t count = strtoull(argv[3], NULL, 10);
    int get = strcmp(argv[4], "GET") == 0;
    const char *words[] = {argv[4], argv[5], argv[6]}, *set[] = {"SET", argv[5], argv[6]};
    uint64_t *all = calloc(count, sizeof *all);
    if (!all || count == 0)
        fail("no memory");
    redisContext *context = connect_within(atoi(argv[1]), (unsigned)atoi(argv[2]));
    freeReplyObject(command(context, 3, set));
    for (int turn = -1; turn < 0 || getchar() != EOF; turn++) {
        uint64_t wall = nanos(CLOCK_MONOTONIC), cpu = nanos(CLOCK_PROCESS_CPUTIME_ID), before = wall;
        for (uint64_t i = 0; i < count; i++) {
            redisReply *reply = command(context, get ? 2 : 3, words);
            if (get ? reply->type != REDIS_REPLY_STRING || strcmp(reply->str, argv[6]) != 0
                    : reply->type != REDIS_REPLY_INTEGER || reply->integer != 0)
                fail("another reply than was expected");
            freeReplyObject(reply);
            uint64_t now = nanos(CLOCK_MONOTONIC);
            all[i] = now - before;
            before = now;
        }
        cpu = nanos(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        /* The first turn is for warming up. */
        if (turn < 0)
            continue;
        qsort(all, count, sizeof *all, compare);
        printf("%llu %llu %llu %llu %lu latency %llu %llu\n", (unsigned long long)count,
               (unsigned long long)(count * strlen(argv[6])), (unsigned long long)(before - wall),
               (unsigned long long)cpu, peak_kib(), (unsigned long long)all[(count - 1) / 2],
               (unsigned long long)all[(count - 1) * 99 / 100]);
        fflush(stdout);
    }
    return 0;
}
