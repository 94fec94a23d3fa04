/* Drains the canned stream with hiredis's reply reader and prints one outcome line.
 *
 * usage: PORT SECONDS MARKER MARKER_LEN CHANNEL... -- [PATTERN...]
 */
#include "common.h"

enum { READ_SIZE = 64 * 1024, MOST_NAMES = 1024 };

/* Blocks until the reader holds a whole reply. */
static redisReply *next_reply(int fd, redisReader *reader)
{
    static char buffer[READ_SIZE];
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(reader, &reply) != REDIS_OK)
            fail(reader->errstr);
        if (reply)
            return reply;
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got <= 0)
            fail("the stream broke off");
        redisReaderFeed(reader, buffer, (size_t)got);
    }
}

/* Sends `command` with all `names`, and waits for a confirmation of each. */
static void subscribe(int fd, redisReader *reader, const char *command, int count, char **names)
{
    const char *arguments[MOST_NAMES + 1] = {command};
    char *encoded;
    if (count == 0)
        return;
    if (count > MOST_NAMES)
        fail("too many names");
    for (int i = 0; i < count; i++)
        arguments[i + 1] = names[i];
    long len = redisFormatCommandArgv(&encoded, count + 1, arguments, NULL);
    if (len < 0 || write(fd, encoded, (size_t)len) != len)
        fail("cannot subscribe");
    redisFreeCommand(encoded);
    for (int i = 0; i < count; i++)
        freeReplyObject(next_reply(fd, reader));
}

int main(int argc, char **argv)
{
    if (argc < 6)
        fail("too few arguments");
    redisContext *context = connect_within(atoi(argv[1]), (unsigned)atoi(argv[2]));
    const char *marker = argv[3];
    size_t marker_prefix = strlen(marker), marker_len = (size_t)atoi(argv[4]);

    redisReader *reader = redisReaderCreate();
    /* Keep the buffer: by default it is freed whenever it is empty and has held more than 16 KiB. */
    reader->maxbuf = 0;
    char **channels = argv + 5, **separator = channels;
    while (*separator && strcmp(*separator, "--") != 0)
        separator++;
    if (!*separator)
        fail("no separator");
    char **patterns = separator + 1;
    subscribe(context->fd, reader, "SUBSCRIBE", (int)(separator - channels), channels);
    subscribe(context->fd, reader, "PSUBSCRIBE", (int)(argv + argc - patterns), patterns);

    uint64_t messages = 0, bytes = 0, started = 0;
    uint64_t cpu = nanos(CLOCK_PROCESS_CPUTIME_ID);
    while (started == 0) {
        redisReply *reply = next_reply(context->fd, reader);
        if (reply->elements < 3)
            fail("not a message");
        redisReply *payload = reply->element[reply->elements - 1];
        if ((size_t)payload->len == marker_len && strncmp(payload->str, marker, marker_prefix) == 0) {
            started = strtoull(payload->str + marker_prefix, NULL, 10);
        } else {
            messages++;
            bytes += (uint64_t)payload->len;
        }
        freeReplyObject(reply);
    }
    print_outcome(messages, bytes, started, cpu);
    return 0;
}
