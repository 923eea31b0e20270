#include "ctl/table.h"

#include <sys/ioctl.h>
#include <unistd.h>

enum { GAP = 2 };

unsigned table_width(void)
{
    struct winsize size = {0};

    return isatty(STDOUT_FILENO) == 1 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* The columns of a rank up to `rank`. */
static unsigned total_width(const struct table_column *columns, unsigned n, int rank)
{
    unsigned total = 0;

    for (unsigned i = 0; i < n; i++)
        if (columns[i].rank <= rank)
            total += (unsigned)columns[i].width + (total ? GAP : 0);
    return total;
}

/* The highest rank whose columns, with all that are missed more, fit. */
static int rank_that_fits(const struct table_column *columns, unsigned n, unsigned width)
{
    int rank = 0;

    for (unsigned i = 0; i < n; i++)
        rank = columns[i].rank > rank ? columns[i].rank : rank;
    while (width && rank > 0 && total_width(columns, n, rank) > width)
        rank--;
    return rank;
}

bool table_row(FILE *out, const struct table_column *columns, unsigned n, const char *const *cells, unsigned width)
{
    int rank = rank_that_fits(columns, n, width);
    unsigned last = n;
    bool is_whole = true;

    for (unsigned i = 0; i < n; i++)
        if (columns[i].rank <= rank)
            last = i;
        else
            is_whole = false;
    for (unsigned i = 0; i < n && last < n; i++) {
        int pad = i == last && !columns[i].is_right ? 0 : columns[i].width;

        if (columns[i].rank <= rank)
            (void)fprintf(out, "%*s%s", columns[i].is_right ? pad : -pad, cells ? cells[i] : columns[i].title,
                    i == last ? "\n" : "  ");
    }
    return is_whole;
}
