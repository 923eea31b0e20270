/*
 * published.h: what of the published test vectors of age (C2SP's CCTV, age/testdata, of December 2025; 0BSD or
 * Unlicense) concerns files of X25519 of one chunk: their bytes, and what comes of them.
 */
#pragma once

#include <stddef.h>

enum published_end { OPENS, NO_MATCH, HEADER, HMAC, PAYLOAD };
enum published_identity { NOBODY, A, B };

static const char *const published_identities[] = {
        [NOBODY] = "AGE-SECRET-KEY-143WN7DCXU4G8R5AXQSSYD9AEPYDNT3HXSLWSPK36CDU6E8M59SSSAGZ3KG",
        [A] = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0",
        [B] = "AGE-SECRET-KEY-143WN7DCXU4G8R5AXQSSYD9AEPYDNT3HXSLWSPK36CDU6E8M59SSSAGZ3KG",
};

/* SHA-256 of what comes out of all that open but stream_empty_payload. */
static const char published_digest[] = "013f54400c82da08037759ada907a8b864e97de81c088a182062c4b5622fd2ab";

static const struct published {
    const char *name;
    enum published_end end;
    enum published_identity identity;
    size_t len;
    const char *file;
} published[] = {
        {"empty", HEADER, NOBODY, 0, ""},
        {"header_crlf", HEADER, A, 207,
                "age-encryption.org/v1\015\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\015\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\015\n"
                "--- 2KIGb7ye32MWtUuEVWkO3MP6qCDLzOvT9wF06lelBSI\015\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"hmac_bad", HMAC, A, 203,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- 8McE3ix9R34E/vLrQv3yepsHjo/LXhfs22Ab3UyInmg\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"hmac_extra_space", HEADER, A, 204,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "---  WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"hmac_garbage", HEADER, A, 206,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNgAAA\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"hmac_missing", HEADER, A, 160,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- \n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"hmac_no_space", HEADER, A, 202,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "---WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"hmac_not_canonical", HEADER, A, 203,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNh\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"hmac_trailing_space", HEADER, A, 204,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg \n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"hmac_truncated", HEADER, A, 164,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"scrypt_and_x25519", HEADER, B, 283,
                "age-encryption.org/v1\n"
                "-> X25519 ajtqAvDEkVNr2B7zUOtq2mAQXDSBlNrVAuM/dKb5sT4\n"
                "U+hKlJ4isweJ9PKG7pgscmG3cPASLgTw7SOBpbZ8x2U\n"
                "-> scrypt 3d9y0G+8q1ffPQ0xJJatIQ 10\n"
                "foZolxuhRSL7IG7oaR+456IzkHtvue7j4mUjh3DB6EI\n"
                "--- yp4Z0lV1LEdkm1+uDCuPUV+9hIXbPKrBXKQ/f5Y03As\n"
                "\002T^k\364\306\006\034\211>\217)\354\315,\013r\261\314Fl\236\006'"
                "c\317\364\021\222\202\236\233\270V\265"},
        {"stanza_bad_start", HEADER, A, 214,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "-- stanza\n"
                "\n"
                "--- v5wE8ubPxI1cyQyeAwSHnljMh6DkzvX3iAdKgdYJF8A\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stanza_base64_padding", HEADER, A, 283,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "-> stanza\n"
                "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n"
                "QUE=\n"
                "--- /B04zJExClyv/5eAl7g3u3ELs0CUtMpq6ujNdFoG15s\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stanza_empty_argument", HEADER, A, 224,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "-> stanza  argument\n"
                "\n"
                "--- zL8VKcvvLCzdRCXsc94hyIEK2TgqrOzR5nv9Yv4hscs\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stanza_empty_body", OPENS, A, 213,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "-> empty\n"
                "\n"
                "--- +M2eEFbXSvJ8j+gW4TtQ8pu/PpF/Jj6nQLwi2uP94tk\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stanza_empty_last_line", OPENS, A, 344,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "-> stanza\n"
                "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n"
                "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n"
                "\n"
                "--- D0Uu/whYjf/Cwqz6MHRR9T5em06PLAjTCMcw8aXdyEk\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stanza_invalid_character", HEADER, A, 217,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "-> stanza \303\250\n"
                "\n"
                "--- hnSCjLtEBMl3qMJ3K6Tq/SkIL6VZZ1s3Yl9IOSjxgy0\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stanza_long_line", HEADER, A, 283,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "-> stanza\n"
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
                "\n"
                "--- UZrpZrF1A1/isUnRsxyQFmuVqELZSLktrvgn1CvIer8\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stanza_missing_body", HEADER, A, 212,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "-> empty\n"
                "--- OaSGgYUB+XR0qCCme0Uwp9GNJXSEgNpbknu3Q9qtL+M\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stanza_missing_final_line", HEADER, A, 278,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "-> stanza\n"
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
                "--- ORM4jo0+tfqd57vT3+pUVZg/sHurDuHFHhXkG7S+RE4\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stanza_multiple_short_lines", HEADER, A, 279,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "-> stanza\n"
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
                "--- bpHzWOhjqfoXEgzIrDk7vomv/TLD+BFpxul2+j6ZZuw\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stanza_no_arguments", HEADER, A, 207,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "->\n"
                "\n"
                "--- IY9YoLqIaNKUM21ms4L539FbXHrG2FHmECJiECwQimM\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stanza_not_canonical", HEADER, A, 282,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "-> stanza\n"
                "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n"
                "QUF\n"
                "--- 3dcBdeuKtDbEpx/hhcA6qEAR/niQh2MAsruVPRsH4CI\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stanza_spurious_cr", HEADER, A, 278,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "-> stanza\n"
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\015AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
                "--- ahynG58BNILnncvWP3dPKYYuzvcn8Xajrz3LdsOfwJI\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stanza_valid_characters", OPENS, A, 317,
                "age-encryption.org/v1\n"
                "-> !\"#$%&' ()*+,-./ 01234567 89:;<=>? @ABCDEFG HIJKLMNO\n"
                "\n"
                "-> PQRSTUVW XYZ[\\]^_ `abcdefg hijklmno pqrstuvw xyz{|}~\n"
                "\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- qcNy6mAn80JKuXPUW7ANJdOhzbOtVSsIGM12i5B4vx4\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"stream_bad_tag", PAYLOAD, A, 203,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "F"},
        {"stream_empty_payload", OPENS, A, 200,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\255.O\317>R\212A0\336\253\357C6\345U"},
        {"stream_missing_tag", PAYLOAD, A, 187,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L["},
        {"stream_no_chunks", PAYLOAD, A, 184,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L"},
        {"stream_no_final", PAYLOAD, A, 201,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\000\275chm\250H\024\312\252\001)a\212\302\010a"},
        {"stream_no_nonce", HEADER, A, 168,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"},
        {"stream_short_chunk", PAYLOAD, A, 196,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L[\035\346\350.\016\014\275\323#\310w"},
        {"stream_short_nonce", HEADER, A, 180,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"
                "\356\317b\307\316\221\2643'Nh\324"},
        {"stream_two_final_chunks_short", PAYLOAD, A, 218,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\000\"\"\014\307\354g\000%\242=h\275;"
                "\333\216\331\000\005"
                "*r\315\227P\246\342\337\313\316\361R&\376d"},
        {"version_unsupported", HEADER, A, 206,
                "age-encryption.org/v1234\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- Tv+h4x3tN8O4kAWnf7DbpSkmNlxlyxSVfY7UoPFkhno\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"x25519", OPENS, A, 203,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"x25519_bad_tag", NO_MATCH, A, 203,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FE4\n"
                "--- zOCHpynV0aV7p4R6c+bOapgpq9TtpFgGgYghQ2+PIX8\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"x25519_extra_argument", HEADER, A, 208,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc 1234\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- l7E0/PQP54HBZYKUu505n1muW7EniDFqMrXgMhFmeiA\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"x25519_grease", OPENS, A, 225,
                "age-encryption.org/v1\n"
                "-> grease\n"
                "\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "-> grease\n"
                "\n"
                "--- QIfAOEMt1fGOf2FP2m3+TwFQtfy2H3sX3YqUAQRApkM\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"x25519_identity", HEADER, A, 203,
                "age-encryption.org/v1\n"
                "-> X25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
                "W3E/OCRme9TiTY97JoK31Z71arNur77WIIdB90XnN3M\n"
                "--- Pne3IPMDvBj7wRbPMcNViffpVZAx814tgMxp8AwyMhs\n"
                "\254]?7\006\345Pq\323\246\004 F\227\271\011\005\225\302\367\365\333\256\350\015z\001\214(r\005\212\363"
                "\316|"},
        {"x25519_long_file_key", HEADER, A, 215,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "nlObGn0CSA4pxiaG3W6nLlaFFuHmqW+bFC6sJmbsJ9yFesgSok1K0AI\n"
                "--- C49Jo3+j4I6jWB2tldSs1jVAXbv0mOTAnwdT+5vOiBg\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023Lc\367(\255\347\361\015\004\320t\377\307\217P\262)"
                "\200x1"},
        {"x25519_long_share", HEADER, A, 204,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCcA\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- QbEwdWirchS37UUOPh7uVddRiOaWjFwRUpaQ4Q+Z1RE\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"x25519_low_order", HEADER, A, 203,
                "age-encryption.org/v1\n"
                "-> X25519 X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEdc\n"
                "3E0NpFans/m0WLWF7+54ZBdNj3iqQqpraGDFiaRkvBA\n"
                "--- sXw327YMT1/ULXe+ZyRMbMY0Z2jnWHGgI9j1we6yQ8A\n"
                "\254]?7\006\345Pq\323\246\004 F\227\271\011\005\225\302\367\365\333\256\350\015z\001\214(r\005\212\363"
                "\316|"},
        {"x25519_lowercase", NO_MATCH, A, 203,
                "age-encryption.org/v1\n"
                "-> x25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- AYeVZK262kiO9KRKUZNEldKRzXDG1vPMXdWs2fF0iJY\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"x25519_multiple_recipients", OPENS, A, 301,
                "age-encryption.org/v1\n"
                "-> X25519 ajtqAvDEkVNr2B7zUOtq2mAQXDSBlNrVAuM/dKb5sT4\n"
                "0evrK/HQXVsQ4YaDe+659l5OQzvAzD2ytLGHQLQiqxg\n"
                "-> X25519 0qC7u6AbLxuwnM8tPFOWVtWZn/ZZe7z7gcsP5kgA0FI\n"
                "Y3OzevLm23Vx7PN9k33F9y+ercWe/bcZJLqhqA3h408\n"
                "--- 855pKblQzZ3oabDowxRDQvSj/xo47ZSh5WTjkmK0I0U\n"
                "\360\270\030\276\0175TB9\231 \255\200\204\226Ko\225\303m\263^OY\330\370\236<\362o-\037\245B\023"},
        {"x25519_no_match", NO_MATCH, B, 203,
                "age-encryption.org/v1\n"
                "-> X25519 ajtqAvDEkVNr2B7zUOtq2mAQXDSBlNrVAuM/dKb5sT4\n"
                "HUKtz0R2j5Bl2ER7HhAZrURikCFpiIjNa0KjHcjbAGU\n"
                "--- rrpTlvKEKrK3EqhoOPJeP1KE8O1d2arrRez77mwekRc\n"
                "\335\337r\320o\274\253W\337=\0151$\226\255!\214\327\375o\200x\273\370\201-\330yG\025^\267\275^\210"},
        {"x25519_not_canonical_body", HEADER, A, 203,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLF\n"
                "--- SGYx1A08TAxtamnfCclSbmk59kIZWY8/f+qmMXv4g9g\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"x25519_not_canonical_share", HEADER, A, 203,
                "age-encryption.org/v1\n"
                "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCd\n"
                "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
                "--- ngoKTEDpJF0jTrD7UALMpTyjZC8ONeH6kqCvSYCvm2g\n"
                "\356\317b\307\316\221\2643'Nh\324\362\371\023L\267L[\376\367\276\252R\310\360\274\016\231,"
                "\036\2031\373"
                "f"},
        {"x25519_short_share", HEADER, A, 202,
                "age-encryption.org/v1\n"
                "-> X25519 l7o4oTX9X5E3/KODa/7CQ0CrA9fKMWsm9IJjYzSlJg\n"
                "yUGP5aPob6YJ+vzRfBtDT9D1K/wmyheZE/Xl/mDSKA4\n"
                "--- Zn1/VRtHpD93HtIXSv1S++POXeKcQF7w1+hpXhMiAbk\n"
                "\254]?7\006\345Pq\323\246\004 F\227\271\011\005\225\302\367\365\333\256\350\015z\001\214(r\005\212\363"
                "\316|"},
};
