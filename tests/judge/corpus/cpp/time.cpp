#include <iostream>

int main() {
    volatile long a = 0;
    for (;;) a = a + 1;
}
