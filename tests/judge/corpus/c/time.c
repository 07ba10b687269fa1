#include <stdio.h>

int main(void) {
    volatile int a = 0;
    for (;;) a++;
    return 0;
}
