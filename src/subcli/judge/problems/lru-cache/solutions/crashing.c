/* An LRU cache: a hash table for finding entries, a doubly linked list for their order of use. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD 32
#define BUCKETS 65536

struct entry {
    char key[WORD], value[WORD];
    struct entry *newer, *older; /* by use */
    struct entry *next;          /* in the same bucket */
};

static struct entry *buckets[BUCKETS];
static struct entry *newest, *oldest;
static int capacity = 1, size;

static unsigned hash(const char *key) {
    unsigned h = 2166136261u;
    while (*key)
        h = (h ^ (unsigned char)*key++) * 16777619u;
    return h % BUCKETS;
}

static struct entry *find(const char *key) {
    struct entry *e = buckets[hash(key)];
    while (e && strcmp(e->key, key) != 0)
        e = e->next;
    return e;
}

static void unlink_use(struct entry *e) {
    if (e->newer)
        e->newer->older = e->older;
    else
        newest = e->older;
    if (e->older)
        e->older->newer = e->newer;
    else
        oldest = e->newer;
}

static void link_newest(struct entry *e) {
    e->newer = NULL;
    e->older = newest;
    if (newest)
        newest->newer = e;
    else
        oldest = e;
    newest = e;
}

static void use(struct entry *e) {
    unlink_use(e);
    link_newest(e);
}

static void forget(struct entry *e) {
    struct entry **link = &buckets[hash(e->key)];
    while (*link != e)
        link = &(*link)->next;
    *link = e->next;
    unlink_use(e);
    oldest->older = NULL;
    free(e);
    size--;
}

static void put(const char *key, const char *value) {
    struct entry *e = find(key);
    if (e) {
        strcpy(e->value, value);
        use(e);
        puts("ok");
        return;
    }
    if (size == capacity) {
        printf("evicted %s\n", oldest->key);
        forget(oldest);
    } else {
        puts("ok");
    }
    e = calloc(1, sizeof *e);
    if (!e)
        exit(1);
    strcpy(e->key, key);
    strcpy(e->value, value);
    unsigned h = hash(key);
    e->next = buckets[h];
    buckets[h] = e;
    link_newest(e);
    size++;
}

static void get(const char *key) {
    struct entry *e = find(key);
    if (!e) {
        puts("none");
        return;
    }
    use(e);
    puts(e->value);
}

static void delete(const char *key) {
    struct entry *e = find(key);
    if (e)
        forget(e);
    puts(e ? "ok" : "none");
}

int main(void) {
    char line[128], key[WORD], value[WORD];
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
