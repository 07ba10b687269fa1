#include <stdio.h>

static char table[600 * 1024 * 1024];

int main(void) {
    for (size_t i = 0; i < sizeof table; i += 4096) table[i] = 1;
    printf("%d\n", table[4096]);
    return 0;
}
