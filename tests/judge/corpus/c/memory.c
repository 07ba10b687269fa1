#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    for (;;) {
        char *block = malloc(1024 * 1024);
        memset(block, 1, 1024 * 1024);
    }
    return 0;
}
