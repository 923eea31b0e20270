#include "ctl/answer.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/show.h"

static bool can_somebody_listen(void)
{
    const int flags = fcntl(STDOUT_FILENO, F_GETFL);

    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

int answer_end(int status, bool is_answer)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (!is_answer && !can_somebody_listen())
        return status;
    show_failure("what was asked for could not be written to stdout");
    return status == CTL_DONE ? CTL_FAILED : status;
}
