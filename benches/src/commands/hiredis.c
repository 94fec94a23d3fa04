/* Runs pipelines of SET and GET with hiredis and prints one outcome line.
 *
 * usage: PORT SECONDS PAIRS WINDOWS PIPELINES TRANSACTION
 *
 * A pipeline sets and gets PAIRS keys; the next one takes the next keys, of WINDOWS times PAIRS.
 */
#include "common.h"

enum { KEY_LEN = 10, VALUE_LEN = 16 };

struct pair {
    char key[KEY_LEN + 1], value[VALUE_LEN + 1];
};

static redisReply *next_reply(redisContext *context)
{
    void *reply = NULL;
    if (redisGetReply(context, &reply) != REDIS_OK)
        fail(context->errstr);
    return reply;
}

static void append(redisContext *context, int count, const char **words, const size_t *lens)
{
    if (redisAppendCommandArgv(context, count, words, lens) != REDIS_OK)
        fail("cannot append a command");
}

/* Checks both replies to a pair: their types, lengths and, where it is the sample, the value. */
static void check(const struct pair *pair, const redisReply *set, const redisReply *got, int sample)
{
    if (set->type != REDIS_REPLY_STATUS || set->len != 2 || got->type != REDIS_REPLY_STRING ||
        got->len != VALUE_LEN)
        fail("replies of another kind than were expected");
    if (sample && memcmp(got->str, pair->value, VALUE_LEN) != 0)
        fail("another value than was set");
}

static void run_pipeline(redisContext *context, const struct pair *pairs, size_t count,
                         int transaction, size_t sample)
{
    if (transaction)
        append(context, 1, (const char *[]){"MULTI"}, NULL);
    for (size_t i = 0; i < count; i++) {
        const char *words[] = {"SET", pairs[i].key, pairs[i].value};
        append(context, 3, words, (size_t[]){3, KEY_LEN, VALUE_LEN});
        words[0] = "GET";
        append(context, 2, words, (size_t[]){3, KEY_LEN});
    }
    if (!transaction) {
        for (size_t i = 0; i < count; i++) {
            redisReply *set = next_reply(context), *got = next_reply(context);
            check(&pairs[i], set, got, i == sample);
            freeReplyObject(set);
            freeReplyObject(got);
        }
        return;
    }
    append(context, 1, (const char *[]){"EXEC"}, NULL);
    for (size_t i = 0; i < 1 + 2 * count; i++)
        freeReplyObject(next_reply(context));
    redisReply *executed = next_reply(context);
    if (executed->type != REDIS_REPLY_ARRAY || executed->elements != 2 * count)
        fail("the transaction was not executed");
    for (size_t i = 0; i < count; i++)
        check(&pairs[i], executed->element[2 * i], executed->element[2 * i + 1], i == sample);
    freeReplyObject(executed);
}

int main(int argc, char **argv)
{
    if (argc != 7)
        fail("wrong arguments");
    size_t window = strtoull(argv[3], NULL, 10), windows = strtoull(argv[4], NULL, 10);
    uint64_t pipelines = strtoull(argv[5], NULL, 10);
    int transaction = atoi(argv[6]);
    struct pair *pairs = calloc(window * windows, sizeof *pairs);
    if (!pairs)
        fail("no memory");
    for (unsigned i = 0; i < window * windows; i++) {
        snprintf(pairs[i].key, sizeof pairs[i].key, "key:%06u", i);
        snprintf(pairs[i].value, sizeof pairs[i].value, "value:%010u", i);
    }

    redisContext *context = connect_within(atoi(argv[1]), (unsigned)atoi(argv[2]));
    /* Keep the buffer: by default it is freed whenever it is empty and has held more than 16 KiB. */
    context->reader->maxbuf = 0;
    for (size_t i = 0; i < windows; i++)
        run_pipeline(context, pairs + i * window, window, transaction, 0);
    uint64_t wall = nanos(CLOCK_MONOTONIC), cpu = nanos(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t i = 0; i < pipelines; i++)
        run_pipeline(context, pairs + i % windows * window, window, transaction, i % window);
    print_outcome(pipelines * window * 2, pipelines * window * VALUE_LEN, wall, cpu);
    return 0;
}
