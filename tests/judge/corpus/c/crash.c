#include <stdio.h>

int main(void) {
    int a, b;
    int *nowhere = NULL;
    while (scanf("%d %d", &a, &b) == 2) printf("%d\n", *nowhere + a + b);
    return 0;
}
