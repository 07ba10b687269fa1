#include <csignal>
#include <iostream>

int main() {
    int a, b;
    while (std::cin >> a >> b) {
        volatile int zero = 0;
        std::cout << (a + b) / zero << "\n";
    }
}
