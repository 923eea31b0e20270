#include "core/log_queue.h"

bool log_queue_fits(const struct log_queue *q, size_t len)
{
    return len <= LOG_QUEUE_SIZE - q->len;
}

void log_queue_put(struct log_queue *q, const char *line, size_t len)
{
    if (!log_queue_fits(q, len)) {
        q->dropped++;
        return;
    }
    for (size_t i = 0; i < len; i++)
        q->bytes[(q->begin + q->len + i) % LOG_QUEUE_SIZE] = line[i];
    q->len += len;
}

size_t log_queue_take(struct log_queue *q, char line[LOG_LINE_MAX])
{
    size_t len = 0;

    while (q->len > 0 && len < LOG_LINE_MAX) {
        char c = q->bytes[q->begin];

        line[len++] = c;
        q->begin = (q->begin + 1) % LOG_QUEUE_SIZE;
        q->len--;
        if (c == '\n')
            break;
    }
    return len;
}
