/*
 * option.h: values of short options as people of the Go tool write them.
 *
 * pflag takes `-c=FILE` for what getopt calls `-c FILE` and `-cFILE`; getopt would hand out "=FILE". Behind a long
 * option, and in a word of its own, a "=" is a part of the value, to both.
 */
#pragma once

/* The value that getopt_long has just put into optarg, without such a "="; NULL if there is none. */
const char *option_value(char *const *argv);
