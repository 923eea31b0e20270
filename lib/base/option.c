#include "base/option.h"

#include <getopt.h>
#include <string.h>

const char *option_value(char *const *argv)
{
    const char *word = argv[optind - 1]; /* that ends with the value */
    size_t len = optarg ? strlen(optarg) : 0, word_len = strlen(word);

    if (!optarg || word[0] != '-' || word[1] == '-' || word_len < len + 2 || optarg != word + (word_len - len))
        return optarg;
    return *optarg == '=' ? optarg + 1 : optarg;
}
