/* A cache that forgets what has not been used for the longest time. The commands are in the problem's description.
 *
 * Reading and answering is here; the cache is yours. */

#include <stdio.h>

static int capacity = 1, size;

static void put(const char *key, const char *value) {
    (void)key, (void)value;
    puts("ok");
}

static void get(const char *key) {
    (void)key;
    puts("none");
}

static void delete(const char *key) {
    (void)key;
    puts("none");
}

int main(void) {
    char line[128], key[32], value[32];
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "capacity %d", &capacity) == 1)
            puts("ok");
        else if (sscanf(line, "put %31s %31s", key, value) == 2)
            put(key, value);
        else if (sscanf(line, "get %31s", key) == 1)
            get(key);
        else if (sscanf(line, "delete %31s", key) == 1)
            delete(key);
        else
            printf("%d\n", size);
        fflush(stdout);
    }
    return 0;
}
