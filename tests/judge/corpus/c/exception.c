#include <assert.h>
#include <stdio.h>

int main(void) {
    int a, b;
    while (scanf("%d %d", &a, &b) == 2) {
        assert(a > b);
        printf("%d\n", a + b);
    }
    return 0;
}
