#include <stdio.h>

int main(void) {
    int a, b;
    while (scanf("%d %d", &a, &b) == 2) {
        fprintf(stderr, "adding %d %d\n", a, b);
        printf("%d\n", a - b);
    }
    return 0;
}
