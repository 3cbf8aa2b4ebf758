/* memcpy, memmove and memcmp of the C standard (ISO C 7.24) with SSE2, which every x86-64 has.
   Up to 128 bytes are all loaded before the first is stored, so that ranges may overlap; longer ranges go in the direction
   that reads each byte before it is overwritten. */

#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The test compiles the functions under other names, beside those of its C library. */
#ifndef NAME
#define NAME(name) name
#endif

/* From here on the microcode of `rep movsb` is as fast as any loop. */
#define LONG 4096

static inline __m128i load16(const unsigned char *from) { return _mm_loadu_si128((const __m128i *)from); }
static inline void store16(unsigned char *to, __m128i value) { _mm_storeu_si128((__m128i *)to, value); }

#define SCALAR(bytes, type)                                                                                                   \
    static inline type load##bytes(const unsigned char *from) {                                                              \
        type value;                                                                                                           \
        __builtin_memcpy(&value, from, bytes);                                                                                \
        return value;                                                                                                         \
    }                                                                                                                         \
    static inline void store##bytes(unsigned char *to, type value) { __builtin_memcpy(to, &value, bytes); }
SCALAR(2, uint16_t)
SCALAR(4, uint32_t)
SCALAR(8, uint64_t)

/* Stores the first and the last SIZE bytes; between them they cover every length from SIZE to 2 * SIZE. */
#define BOTH_ENDS(SIZE, type)                                                                                                 \
    do {                                                                                                                      \
        type first = load##SIZE(from), last = load##SIZE(from + count - SIZE);                                                \
        store##SIZE(to, first);                                                                                               \
        store##SIZE(to + count - SIZE, last);                                                                                 \
    } while (0)

static inline void copy_to_16(unsigned char *to, const unsigned char *from, size_t count) {
    if (count >= 8)
        BOTH_ENDS(8, uint64_t);
    else if (count >= 4)
        BOTH_ENDS(4, uint32_t);
    else if (count >= 2)
        BOTH_ENDS(2, uint16_t);
    else if (count)
        *to = *from;
}

static inline void copy_to_128(unsigned char *to, const unsigned char *from, size_t count) {
    const unsigned char *from_end = from + count;
    unsigned char *to_end = to + count;
    __m128i a = load16(from), z = load16(from_end - 16);
    if (count > 32) {
        __m128i b = load16(from + 16), y = load16(from_end - 32);
        if (count > 64) {
            __m128i c = load16(from + 32), d = load16(from + 48);
            __m128i w = load16(from_end - 64), x = load16(from_end - 48);
            store16(to + 32, c);
            store16(to + 48, d);
            store16(to_end - 64, w);
            store16(to_end - 48, x);
        }
        store16(to + 16, b);
        store16(to_end - 32, y);
    }
    store16(to, a);
    store16(to_end - 16, z);
}

static inline void copy_64(unsigned char *to, const unsigned char *from) {
    __m128i a = load16(from), b = load16(from + 16), c = load16(from + 32), d = load16(from + 48);
    store16(to, a);
    store16(to + 16, b);
    store16(to + 32, c);
    store16(to + 48, d);
}

/* The destination is before the source, or they do not overlap. */
static inline void copy_forward(unsigned char *to, const unsigned char *from, size_t count) {
    const unsigned char *end = from + count;
    __m128i w = load16(end - 64), x = load16(end - 48), y = load16(end - 32), z = load16(end - 16);
    unsigned char *tail = to + count - 64;
    for (; to < tail; to += 64, from += 64)
        copy_64(to, from);
    store16(tail, w);
    store16(tail + 16, x);
    store16(tail + 32, y);
    store16(tail + 48, z);
}

/* The destination begins within the source. */
static inline void copy_backward(unsigned char *to, const unsigned char *from, size_t count) {
    __m128i a = load16(from), b = load16(from + 16), c = load16(from + 32), d = load16(from + 48);
    for (size_t left = count; left > 64; left -= 64)
        copy_64(to + left - 64, from + left - 64);
    store16(to, a);
    store16(to + 16, b);
    store16(to + 32, c);
    store16(to + 48, d);
}

void *NAME(memmove)(void *destination, const void *source, size_t count) {
    unsigned char *to = destination;
    const unsigned char *from = source;
    if (count <= 16)
        copy_to_16(to, from, count);
    else if (count <= 128)
        copy_to_128(to, from, count);
    else if ((uintptr_t)to - (uintptr_t)from < count)
        copy_backward(to, from, count);
    else if (count >= LONG && (uintptr_t)from - (uintptr_t)to >= count)
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    else
        copy_forward(to, from, count);
    return destination;
}

void *NAME(memcpy)(void *restrict destination, const void *restrict source, size_t count) {
    return NAME(memmove)(destination, source, count);
}

/* The difference of the first bytes that differ among the 16 at each address, or 0. */
static inline int compare_16(const unsigned char *left, const unsigned char *right) {
    unsigned differ = _mm_movemask_epi8(_mm_cmpeq_epi8(load16(left), load16(right))) ^ 0xffff;
    if (!differ)
        return 0;
    int at = __builtin_ctz(differ);
    return left[at] - right[at];
}

int NAME(memcmp)(const void *a, const void *b, size_t count) {
    const unsigned char *left = a, *right = b;
    if (count < 16) {
        if (count >= 8) {
            uint64_t first = load8(left), second = load8(right);
            if (first == second) {
                first = load8(left + count - 8);
                second = load8(right + count - 8);
            }
            first = __builtin_bswap64(first);
            second = __builtin_bswap64(second);
            return (first > second) - (first < second);
        }
        for (size_t at = 0; at < count; at++)
            if (left[at] != right[at])
                return left[at] - right[at];
        return 0;
    }
    size_t at = 0;
    for (; at + 16 <= count; at += 16) {
        int order = compare_16(left + at, right + at);
        if (order)
            return order;
    }
    return compare_16(left + count - 16, right + count - 16);
}

int NAME(bcmp)(const void *a, const void *b, size_t count) { return NAME(memcmp)(a, b, count); }
