#include <pthread.h>
#include <stdio.h>

static void *add(void *sums) {
    *(volatile int *)sums = 1;
    return sums;
}

int main(void) {
    pthread_t worker;
    pthread_create(&worker, NULL, add, NULL);
    pthread_join(worker, NULL);
    puts("3\n70");
    return 0;
}
