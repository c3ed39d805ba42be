/* Alignment by dynamic programming, row by row: see reference.h. */
#include "reference.h"

void load_letters(uint8_t *letters, int count, uint64_t seed)
{
    static const char kinds[] = "ACGT";
    for (int i = 0; i < count; i++)
        letters[i] = (uint8_t)kinds[load_random(&seed) % 4];
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

void load_align(const uint8_t *a, int rows, const uint8_t *b, int columns, int *score)
{
    for (int j = 0; j <= columns; j++)
        score[j] = LOAD_GAP * j;
    for (int i = 1; i <= rows; i++) {
        const int *above = score;
        score += (size_t)columns + 1;
        score[0] = LOAD_GAP * i;
        for (int j = 1; j <= columns; j++) {
            const int both = a[i - 1] == b[j - 1] ? LOAD_MATCH : LOAD_MISMATCH;
            const int gap = larger(above[j], score[j - 1]) + LOAD_GAP;
            score[j] = larger(above[j - 1] + both, gap);
        }
    }
}
