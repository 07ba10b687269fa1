#include <iostream>

int main() {
    int a, b;
    while (std::cin >> a >> b) {
        std::cerr << "adding " << a << " " << b << "\n";
        std::cout << a - b << "\n";
    }
}
