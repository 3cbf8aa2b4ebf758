/* Compares the functions of memory.c with simple loops: every length up to 700 bytes and some long ones, every distance of
   overlapping ranges up to 200, every place of the first difference. Prints the number of cases. */

#include <stdio.h>
#include <stdlib.h>

#define NAME(name) tested_##name
#include "../memory.c"

enum { ROOM = 20000 };
static unsigned char buffer[ROOM], expected[ROOM];
static long cases;

static void fill(void) {
    for (int i = 0; i < ROOM; i++)
        expected[i] = buffer[i] = (unsigned char)(i * 167 + (i >> 8));
}

static void check_move(size_t to, size_t from, size_t count) {
    fill();
    unsigned char *copy = malloc(count + 1);
    for (size_t i = 0; i < count; i++)
        copy[i] = expected[from + i];
    for (size_t i = 0; i < count; i++)
        expected[to + i] = copy[i];
    free(copy);
    if (tested_memmove(buffer + to, buffer + from, count) != buffer + to)
        exit(2);
    for (int i = 0; i < ROOM; i++)
        if (buffer[i] != expected[i]) {
            printf("memmove of %zu bytes from %zu to %zu differs at %d\n", count, from, to, i);
            exit(1);
        }
    cases++;
}

static int sign(int x) { return (x > 0) - (x < 0); }

static void check_compare(size_t count, size_t differ, int by) {
    fill();
    unsigned char *left = buffer + 1, *right = expected + 1;
    right[differ] = (unsigned char)(left[differ] + by);
    int order = differ < count ? left[differ] - right[differ] : 0;
    if (sign(tested_memcmp(left, right, count)) != sign(order)) {
        printf("memcmp of %zu bytes that differ at %zu\n", count, differ);
        exit(1);
    }
    cases++;
}

int main(void) {
    for (size_t count = 0; count <= 700; count++) {
        check_move(10000, 3, count);
        check_move(10001, 3, count);
        for (size_t differ = 0; differ <= count; differ += 1 + count / 40) {
            check_compare(count, differ, 1);
            check_compare(count, differ, 128);
        }
    }
    for (size_t count = 0; count <= 420; count += 7)
        for (size_t distance = 0; distance <= 200; distance++) {
            check_move(1000 + distance, 1000, count);
            check_move(1000, 1000 + distance, count);
        }
    for (size_t count = 4090; count <= 4100; count++) {
        check_move(10000, 3, count);
        check_move(5, 3, count);
        check_move(3, 5, count);
        check_move(3, 4200, count);
    }
    printf("%ld cases\n", cases);
    return 0;
}
