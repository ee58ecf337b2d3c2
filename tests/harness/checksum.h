/* A checksum of a stream of bytes, fast enough for gigabytes: it finds what disks and crashes do to
 * files, not what people do. */
#ifndef PLENS_HARNESS_CHECKSUM_H
#define PLENS_HARNESS_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

typedef struct checksum {
    uint64_t lanes[4], length;
    unsigned char rest[32]; /* of a block that is not full, length % 32 bytes */
} checksum;

void checksum_start(checksum *c);
void checksum_add(checksum *c, const void *bytes, size_t n_bytes);
uint64_t checksum_value(const checksum *c);

#endif
