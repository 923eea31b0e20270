#include "bolt/fault.h"

static const char *const texts[BOLT_N_FAULTS] = {
        [BOLT_FINE] = "it is sound",
        [BOLT_OTHER_PAGE] = "its header names another page",
        [BOLT_WRONG_TYPE] = "it is neither a branch nor a leaf",
        [BOLT_EMPTY] = "it says that it is empty, where it cannot be",
        [BOLT_TOO_MANY] = "it has more elements than room",
        [BOLT_WRONG_FLAGS] = "an element has the wrong flags",
        [BOLT_WRONG_LAYOUT] = "an element does not begin where the one before it ends",
        [BOLT_WRONG_KEY_SIZE] = "a key has no possible length",
        [BOLT_WRONG_VALUE_SIZE] = "a value has no possible length",
        [BOLT_WRONG_SPAN] = "it does not take the pages that its contents need",
        [BOLT_KEY_ORDER] = "its keys are not in order",
        [BOLT_WRONG_CHILD] = "an element refers to a page that cannot be below it",
        [BOLT_WRONG_BUCKET] = "the value of a bucket is none",
        [BOLT_WRONG_INLINE] = "a bucket within it is broken",
        [BOLT_NO_MAGIC] = "it is no meta of a bbolt file",
        [BOLT_WRONG_CHECKSUM] = "its checksum is wrong",
        [BOLT_NOT_TWINS] = "it is not the copy of page 0 that a snapshot has",
        [BOLT_WRONG_ROOT] = "it refers to pages that the file does not have",
        [BOLT_WRONG_SIZE] = "it tells another number of pages than the file has",
        [BOLT_CUT] = "the file ends within it",
        [BOLT_BEYOND_FILE] = "it is beyond the end of the file, and something refers to it",
        [BOLT_TWICE] = "it is reached twice",
        [BOLT_PARENT_KEYS] = "its keys are not those that the pages below it begin with",
        [BOLT_ORDER_BETWEEN] = "its first key is not behind the last one of the page before it",
        [BOLT_TOO_DEEP] = "it is deeper in a tree than any can be",
        [BOLT_UNEVEN] = "it is a leaf, and not as deep in its tree as the others",
        [BOLT_WRONG_FREELIST] = "it is no list of free pages",
        [BOLT_FREE_AND_USED] = "it is in use, and in the list of free pages",
        [BOLT_LOST] = "it is neither in use nor in the list of free pages",
        [BOLT_BIG_ENDIAN] = "it was written by a big-endian machine",
        [BOLT_OTHER_VERSION] = "its format is of another version",
        [BOLT_OTHER_PAGE_SIZE] = "its page size is not between 4 and 64 KiB",
        [BOLT_UNUSUAL] = "it is laid out as bbolt never does for etcd",
        [BOLT_LONG_KEYS] = "its keys are too long to be compared with others",
        [BOLT_MANY_BUCKETS] = "there are too many buckets, or buckets in buckets",
        [BOLT_NOT_KEPT] = "it was not remembered: the database has too many pages that could be of its trees",
        [BOLT_NO_MEMORY] = "there was no memory to remember it",
};

const char *bolt_fault_text(enum bolt_fault fault)
{
    return texts[fault];
}
