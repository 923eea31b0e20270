#include "h2/san.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* Tags of DER (X.690) and of GeneralName (RFC 5280: [2] dNSName, [7] iPAddress). */
enum { TAG_OCTETS = 0x04, TAG_OID = 0x06, TAG_SEQUENCE = 0x30, TAG_DNS = 0x82, TAG_IP = 0x87 };

static const uint8_t oid_subject_alt_name[] = {0x55, 0x1d, 0x11}; /* 2.5.29.17 */

/* One element from the front of *in: its tag, or -1 at the end and when it is not well-formed. */
static int next_element(struct bytes *in, struct bytes *content)
{
    size_t header = 2, len;
    uint8_t tag;

    if (in->len < header)
        return -1;
    tag = in->data[0];
    len = in->data[1];
    if (len & 0x80) { /* the length is in the next 1 to 3 bytes: certificates are not longer */
        size_t n = len & 0x7f;

        if (n == 0 || n > 3 || in->len < header + n)
            return -1;
        len = 0;
        for (size_t i = 0; i < n; i++)
            len = len << 8 | in->data[header + i];
        header += n;
    }
    if (len > in->len - header)
        return -1;
    *content = (struct bytes){.data = in->data + header, .len = len};
    in->data += header + len;
    in->len -= header + len;
    return tag;
}

/* Extension ::= SEQUENCE { extnID OID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING } */
static bool is_subject_alt_name(struct bytes extension, struct bytes *names)
{
    struct bytes oid, value;
    int tag;

    if (next_element(&extension, &oid) != TAG_OID || oid.len != sizeof(oid_subject_alt_name) ||
            memcmp(oid.data, oid_subject_alt_name, oid.len) != 0)
        return false;
    do
        tag = next_element(&extension, &value);
    while (tag >= 0 && tag != TAG_OCTETS);
    return tag == TAG_OCTETS && next_element(&value, names) == TAG_SEQUENCE;
}

/* The GeneralNames of the certificate, empty if it has none. */
static struct bytes find_names(struct bytes extensions)
{
    struct bytes list, extension, names;

    if (next_element(&extensions, &list) == TAG_SEQUENCE)
        while (next_element(&list, &extension) == TAG_SEQUENCE)
            if (is_subject_alt_name(extension, &names))
                return names;
    return (struct bytes){.len = 0};
}

bool h2_san_has_ip(struct bytes extensions, const uint8_t *ip, size_t ip_len)
{
    struct bytes names = find_names(extensions), name;
    int tag;

    while ((tag = next_element(&names, &name)) >= 0)
        if (tag == TAG_IP && name.len == ip_len && memcmp(name.data, ip, ip_len) == 0)
            return true;
    return false;
}

/* Appends to the text, never past its end. */
static void add(char out[H2_SAN_TEXT_MAX], const char *text, size_t len)
{
    size_t have = strlen(out);

    (void)snprintf(out + have, H2_SAN_TEXT_MAX - have, "%s%.*s", have ? ", " : "", (int)len, text);
}

char *h2_san_describe(struct bytes extensions, char out[H2_SAN_TEXT_MAX])
{
    struct bytes names = find_names(extensions), name;
    char ip[INET6_ADDRSTRLEN];
    int tag;

    out[0] = '\0';
    while ((tag = next_element(&names, &name)) >= 0)
        if (tag == TAG_DNS && name.len < H2_SAN_TEXT_MAX)
            add(out, (const char *)name.data, name.len);
        else if (tag == TAG_IP && (name.len == 4 || name.len == 16) &&
                 inet_ntop(name.len == 4 ? AF_INET : AF_INET6, name.data, ip, sizeof(ip)))
            add(out, ip, strlen(ip));
    if (out[0] == '\0')
        memcpy(out, "no name", sizeof("no name"));
    return out;
}
