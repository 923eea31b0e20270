/*
 * expect.h: cmocka, and what several unit tests say in one line.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

/* Fails the test at its own line unless the error is of this kind and its text exactly this. */
#define expect_error(e, kind_, text_)                                                                                  \
    do {                                                                                                               \
        assert_string_equal((e)->text, text_);                                                                         \
        assert_string_equal(err_kind_name((e)->kind), err_kind_name(kind_));                                           \
    } while (0)

/* Fails the test, with the error's text, unless `call` returned 0 or a pointer. */
#define expect_success(call, e)                                                                                        \
    do {                                                                                                               \
        if (!(call))                                                                                                   \
            fail_msg("%s", (e)->text);                                                                                 \
    } while (0)
